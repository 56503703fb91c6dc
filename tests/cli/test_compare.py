"""`invspec compare` and `invspec leaderboard`: two studies, and all nets of a store."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from workbench import call

from invspec import tasks
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.plan import planner
from invspec.spec import overlay

SPEC = """\
title: toy
datasets: {fake: {shape: [1, 4, 4], classes: 3, train: 24, test: 20}}
models: {linear: {}}
defences:
  plain: {use: standard, epochs: 1, batch_size: 8, lr: 0.1}
  longer: {use: standard, epochs: 2, batch_size: 8, lr: 0.1}
attacks:
  clean: {use: identity}
  pgd: {steps: 2, eps: 0.1}
measures:
  accuracy: {of: clean}
  robust: {use: accuracy, of: pgd}
checks: none
train: [{dataset: fake, model: linear, defence: [plain, longer]}]
scales: {small: {train: [{dataset: fake, model: linear, defence: plain}]}}
"""
SETTING = "attacks.pgd.steps=4"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, and a store that has its results as it is written and by a setting."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "toy.yaml").write_text(SPEC)
    (folder / "renamed.yaml").write_text(SPEC.replace("plain", "usual"))
    for settings in ([], [SETTING]):
        plan = planner.plan(overlay.load(folder / "toy.yaml", settings=settings))
        list(execute(plan.goals, Store(folder / "store"), LocalExecutor()))
    return folder


@pytest.fixture
def ask(
    done: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Call a command in a copy of the folder: exit code, stdout, stderr."""
    shutil.copytree(done, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("INVSPEC_STORE", raising=False)

    def answer(*words: object) -> tuple[int, str, str]:
        code = call(*words)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return answer


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ─ two sides ─


def test_what_follows_against_changes_b_alone(ask) -> None:
    code, out, _ = ask("compare", "toy.yaml", "--format", "csv", "--against", "--set", SETTING)
    assert code == 0
    assert {(row["measure"], row["defence"]) for row in rows(out)} == {
        (measure, defence) for measure in ("accuracy", "robust") for defence in ("plain", "longer")
    }
    clean = [row["outcome"] for row in rows(out) if row["measure"] == "accuracy"]
    assert clean == ["equal", "equal"]
    assert {row["examples"] for row in rows(out)} == {"same"}
    assert {row["nets"] for row in rows(out)} == {"same nets"}
    assert all(
        float(row["low"]) <= float(row["difference"]) <= float(row["high"]) for row in rows(out)
    )


def test_options_before_against_hold_for_both_sides(ask) -> None:
    words = ("compare", "toy.yaml", "--scale", "small", "--format", "csv")
    _, out, _ = ask(*words, "--against", "--set", SETTING)
    assert {row["defence"] for row in rows(out)} == {"plain"}
    assert len(rows(out)) == 2


def test_options_of_the_whole_comparison_may_follow_against(ask) -> None:
    words = ("--match", "plain=usual", "--format", "csv", "--set", SETTING)
    _, out, _ = ask("compare", "toy.yaml", "--against", "renamed.yaml", *words)
    assert {row["in_b"] for row in rows(out)} == {"", "defence usual"}
    assert {row["outcome"] for row in rows(out)} <= {"equal", "not decided"}


def test_two_specs_are_compared_by_name_and_renamed_labels_by_a_match(ask) -> None:
    _, out, _ = ask("compare", "toy.yaml", "renamed.yaml", "--format", "csv")
    assert {row["outcome"] for row in rows(out)} == {"equal", "only in A", "only in B"}
    words = ("--match", "plain=usual", "--format", "csv")
    _, out, _ = ask("compare", "toy.yaml", "renamed.yaml", *words)
    assert {row["outcome"] for row in rows(out)} == {"equal"}
    assert {row["in_b"] for row in rows(out)} == {"", "defence usual"}


@pytest.mark.parametrize(
    "words",
    [
        ("--store", "store", "--store", "other"),
        ("--store", "store", "--against", "--store", "other"),
    ],
)
def test_two_stores_of_one_spec(ask, words) -> None:
    shutil.copytree("store", "other")
    _, out, _ = ask("compare", "toy.yaml", "--format", "csv", *words)
    assert {row["outcome"] for row in rows(out)} == {"equal"}


def test_the_store_of_the_environment_is_that_of_both(ask, monkeypatch) -> None:
    Path("store").rename("elsewhere")
    monkeypatch.setenv("INVSPEC_STORE", "elsewhere")
    _, out, _ = ask("compare", "toy.yaml", "renamed.yaml", "--format", "json")
    assert json.loads(out)["counts"] == {"equal": 2, "only in A": 2, "only in B": 2}


def test_results_of_another_version_of_the_code_are_found_and_counted(ask, monkeypatch) -> None:
    shutil.copytree("store", "before")
    monkeypatch.setitem(tasks.MACHINERY, "perturb", 99)
    tasks.forget()
    try:
        words = ("--store", "before", "--format", "json")
        _, out, _ = ask("compare", "toy.yaml", *words, "--against", "--set", SETTING)
    finally:
        monkeypatch.undo()
        tasks.forget()
    body = json.loads(out)
    assert "missing" not in body["counts"]
    # on each of two nets, two attacks and a score of each
    assert body["settings"][0] == {
        "setting": "results of other versions of methods",
        "a": "8",
        "b": "8",
    }


# ─ formats ─


def test_the_table_says_what_differs_and_what_is_decided(ask) -> None:
    _, out, _ = ask("compare", "toy.yaml", "--against", "--set", SETTING)
    assert "A: invspec run toy.yaml" in out
    assert f"B: invspec run toy.yaml --set {SETTING}" in out
    assert "attacks.pgd.steps  2  4" in " ".join(out.split(" ")).replace("   ", "  ")
    assert "paired by example (20), on the same nets; of these nets alone" in out
    assert "4 numbers: " in out
    assert "equal to the last bit" in out


def test_tables_call_things_as_the_spec_does_and_files_by_their_labels(ask) -> None:
    names = "names: {robust: under PGD, defence: training, longer: twice as long}\n"
    Path("named.yaml").write_text(SPEC + names)
    sides = ("compare", "named.yaml", "--against", "--set", SETTING)
    _, out, _ = ask(*sides)
    assert "under PGD\n" in out
    assert "twice as long" in out
    assert "training" in out
    _, out, _ = ask(*sides, "--format", "csv")
    assert {row["defence"] for row in rows(out)} == {"plain", "longer"}


def test_the_table_fits_into_80_columns(ask, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = ask("compare", "toy.yaml", "--against", "--set", SETTING)
    assert max(map(len, out.splitlines())) <= 80
    assert "95 % interval" in out


def test_markdown_and_json_have_settings_and_numbers(ask) -> None:
    _, out, _ = ask("compare", "toy.yaml", "--format", "markdown", "--against", "--set", SETTING)
    assert "| attacks.pgd.steps | 2 | 4 |" in out
    assert "## robust" in out
    _, out, _ = ask("compare", "toy.yaml", "--format", "json", "--against", "--set", SETTING)
    body = json.loads(out)
    assert body["settings"] == [{"setting": "attacks.pgd.steps", "a": "2", "b": "4"}]
    assert len(body["numbers"]) == 4


def test_settings_as_rows_and_files_in_a_folder(ask) -> None:
    words = ("--rows", "settings", "--format", "csv", "--output", "out")
    code, out, _ = ask("compare", "toy.yaml", *words, "--against", "--set", SETTING)
    assert code == 0
    (line,) = out.splitlines()
    assert rows(Path(line).read_text()) == [{"setting": "attacks.pgd.steps", "a": "2", "b": "4"}]


def test_machines_and_versions_of_two_stores_are_settings(ask) -> None:
    shutil.copytree("store", "other")
    for path in Path("other").rglob("made.json"):
        made = json.loads(path.read_text())
        path.write_text(json.dumps({**made, "torch": "9.9", "cpu": "another"}))
    words = ("--store", "store", "--store", "other", "--format", "json")
    _, out, _ = ask("compare", "toy.yaml", *words)
    found = {row["setting"]: row["b"] for row in json.loads(out)["settings"]}
    assert found == {"made.torch": "9.9", "made.CPU": "another"}


# ─ mistakes ─


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "error: expected one or two specs, found none\nhint: invspec compare A.yaml B.yaml"),
        (("toy.yaml",), "error: A and B are the same\nhint: name a second spec or store"),
        (("toy.yaml", "--against"), "error: A and B are the same"),
        (("toy.yaml", "a", "b"), "error: expected at most two specs, found 3 specs"),
        (("toy.yaml", "a", "--against", "b"), "error: expected at most two specs, found 3 specs"),
        (
            ("toy.yaml", "--store", "a", "--store", "b", "--store", "c"),
            "error: --store: expected at most two stores, found 3 stores",
        ),
        (
            ("toy.yaml", "--against", "--set", SETTING, "--against"),
            "error: --against: given twice",
        ),
        (("toy.yaml", "renamed.yaml", "--match", "plain"), "error: --match: expected A=B"),
        (
            ("toy.yaml", "renamed.yaml", "--match", "plane=usual"),
            "error: --match: plane=usual: A has no label 'plane'\nhint: did you mean plain?",
        ),
        (("toy.yaml", "--against", "--store", "none"), "error: --store: no folder none"),
        (("toy.yaml", "--against", "--set", "x=1"), "error: --set"),
    ],
)
def test_a_mistake_is_one_clear_error(ask, words, message) -> None:
    code, out, err = ask("compare", *words)
    assert (code, out) == (2, "")
    assert err.startswith(message)


# ─ leaderboards ─


def test_a_store_has_a_board_for_each_threat_model(ask) -> None:
    _, out, _ = ask("leaderboard", "--format", "csv")
    board = rows(out)
    assert {(row["dataset"], row["norm"], row["eps"]) for row in board} == {("fake", "linf", "0.1")}
    assert {row["training"] for row in board} == {"standard epochs 1", "standard epochs 2"}
    assert {row["attacks"] for row in board} == {"pgd steps 2; pgd steps 4"}
    for row in board:
        single = [float(row[f"robust accuracy: pgd steps {steps} value"]) for steps in (2, 4)]
        assert (
            float(row["robust accuracy value"]) <= min(single) <= float(row["clean accuracy value"])
        )
        assert row["health"] == "not checked"


def test_the_board_on_a_terminal_and_in_markdown(ask) -> None:
    _, out, _ = ask("leaderboard")
    assert "fake: linf, eps 0.1" in out
    assert "the worst of pgd steps 2, pgd steps 4, on 20 examples" in out
    assert "not checked: linear, standard epochs" in out
    _, out, _ = ask("leaderboard", "--format", "markdown")
    assert "| rank | net | seeds | robust accuracy |" in out


def test_results_of_other_code_are_counted(ask) -> None:
    for path in list(Path("store/perturb").rglob("task.json")):
        body = json.loads(path.read_text())
        if body["attack"]["fields"].get("steps") == 4:
            # the key under which an earlier version stored it
            path.parent.rename(path.parents[1] / f"{path.parents[1].name}{'0' * 38}")
    _, out, _ = ask("leaderboard", "--format", "json")
    body = json.loads(out)
    assert {row["attacks"] for row in body["boards"]} == {"pgd"}
    ((reason, number),) = body["unread"].items()
    assert (number, reason) == (2, "its code, its data or a version has changed since it was made")


def test_a_store_without_attacks_has_no_board(ask) -> None:
    shutil.rmtree("store/perturb")
    code, _, err = ask("leaderboard")
    assert code == 2
    assert err.startswith("error: --store: store has no attack in a ball\nhint: run a spec")
