"""The command line: output, streams and exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from invspec import __version__, cli
from invspec.cli import session
from invspec.execution.store import Store
from invspec.plan import validation

SPEC = """\
title: toy
datasets: {fake: {shape: [1, 4, 4], classes: 3, train: 24, test: 20}}
models: {linear: {}}
defences: {standard: {epochs: 1, batch_size: 8, lr: 0.1}}
attacks: {pgd: {steps: 2, eps: {sweep: [0.0, 0.1]}}}
measures: {accuracy: {of: pgd}}
checks: none
train: [{dataset: fake, model: linear, defence: standard}]
scales: {small: {seeds: [3], attacks.pgd.eps: 0.2}}
"""


class Answer:
    """The output of a command and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        self.code = ended.value.code or 0
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.out + self.err


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("INVSPEC_STORE", raising=False)
    Path("toy.yaml").write_text(SPEC)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]):
    return lambda *arguments: Answer(capsys, *arguments)


# ─ without a spec ─


def test_without_a_command_help_is_printed(ask) -> None:
    answer = ask()
    assert answer.code == 2
    assert all(
        command in answer.out
        for command in ("run", "report", "validate", "plan", "list", "schema", "samples")
    )


@pytest.mark.parametrize(
    "command", ["run", "report", "validate", "plan", "list", "schema", "samples", "store"]
)
def test_every_command_has_help(command: str, ask) -> None:
    answer = ask(command, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"invspec {command}" in answer.out.replace(Path(sys.argv[0]).name, "invspec")


def test_the_version_is_that_of_the_package(ask) -> None:
    answer = ask("--version")
    assert (answer.code, answer.out) == (0, f"{__version__}\n")


def test_the_schema_is_json(ask) -> None:
    answer = ask("schema")
    assert answer.code == 0
    assert "attack:pgd" in json.loads(answer.out)["$defs"]


def test_the_registry_is_listed(ask) -> None:
    assert "rotations of" not in ask("list", "attack").out
    assert "random_rotation" in ask("list").out
    assert ask("list", "attack", "pgd").out.startswith("pgd: projected gradient descent")


def test_a_users_registry_is_listed_too(ask, tmp_path: Path) -> None:
    from registries import untouched

    (tmp_path / "mine" / "attack").mkdir(parents=True)
    (tmp_path / "mine" / "attack" / "own.yaml").write_text(
        "target: invspec.attacks.pgd:PGD\nsummary: my own\n"
    )
    with untouched(tmp_path):
        assert "my own" in ask("list", "attack", "--registry", "mine").out
    assert "my own" not in ask("list", "attack").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vlidate"], "No such command 'vlidate'. Did you mean 'validate'?"),
        (["validate"], "Missing argument"),
        (["validate", "toy.yaml", "--smok"], "No such option"),
        (["run", "toy.yaml", "--workers", "0"], "--workers"),
        (["run", "toy.yaml", "--batch-size", "many"], "--batch-size"),
        (["report", "toy.yaml", "--format", "pdf"], "--format"),
        (["list", "atack"], "error: no kind is named 'atack'\nhint: did you mean attack?"),
        (["list", "attack", "pdg"], "error: no attack is named 'pdg'\nhint: did you mean pgd?"),
        (["list", "--registry", "nowhere"], "error: --registry: no folder nowhere"),
        (
            ["plan", "toy.yaml", "--store", "nowhere"],
            "error: --store: no folder nowhere\nhint: `invspec run` creates it\n",
        ),
        (
            ["plan", "toy.yaml", "--store", "toy.yaml"],
            "error: --store: toy.yaml is a file, expected a folder\n",
        ),
        (
            ["run", "toy.yaml", "--store", "toy.yaml"],
            "error: --store: toy.yaml is a file, expected a folder\n",
        ),
        (["run", "toy.yaml", "--devices", "tpu"], "error: --devices: no device 'tpu'\n"),
        (["run", "toi"], "error: no spec is named 'toi'\n"),
        (["store", "ls"], "error: --store: no folder store\n"),
        (["store", "gc", "toy.yaml", "--store", "nowhere"], "error: --store: no folder nowhere\n"),
        (["samples", "toy.yaml"], "error: --store: no folder store\n"),
    ],
)
def test_a_bad_option_exits_with_2_and_a_message(arguments: list[str], message: str, ask) -> None:
    answer = ask(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_a_report_without_a_run_says_what_to_do(ask) -> None:
    Path("store").mkdir()
    answer = ask("report")
    assert answer.code == 2
    assert answer.err.startswith("error: no last run in ")
    assert answer.err.endswith("hint: name a spec: invspec report SPEC\n")


# ─ with a spec ─


def test_validate_counts_what_each_spec_would_run(ask) -> None:
    Path("other.yaml").write_text(SPEC.replace("[0.0, 0.1]", "[0.0, 0.1, 0.2]"))
    answer = ask("validate", "toy.yaml", "other.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert (
        answer.out
        == "toy.yaml: 2 cells, 5 tasks, 0 claims\nother.yaml: 3 cells, 7 tasks, 0 claims\n"
    )


def test_validate_reports_every_bad_spec(ask) -> None:
    Path("bad.yaml").write_text(SPEC.replace("title: toy", "title: 3"))
    answer = ask("validate", "bad.yaml", "toy.yaml", "nowhere.yaml")
    assert (answer.code, answer.out) == (2, "toy.yaml: 2 cells, 5 tasks, 0 claims\n")
    assert answer.err == (
        "error: bad.yaml:1: title: expected text, found 3\n"
        "error: nowhere.yaml: cannot be read: No such file or directory\n"
        "hint: expected a YAML file\n"
    )


def test_validate_looks_into_every_scale(ask) -> None:
    Path("toy.yaml").write_text(SPEC.replace("0.2}}", "0.2}, large: {attacks.pgd.eps: -1}}"))
    answer = ask("validate", "toy.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: toy.yaml:9: attacks.pgd.eps: ")


def test_scale_then_settings_then_smoke_overlay_a_spec(ask) -> None:
    assert (
        ask("validate", "toy.yaml", "--scale", "small").out
        == "toy.yaml: 1 cell, 3 tasks, 0 claims\n"
    )
    swept = "attacks.pgd.eps={sweep: [0, 0.1, 0.2]}"
    answer = ask("validate", "toy.yaml", "--scale", "small", "--set", swept, "--smoke")
    assert answer.out == "toy.yaml: 3 cells, 5 tasks, 0 claims\n"


def test_a_run_computes_and_reports_once(ask) -> None:
    answer = ask("run", "toy.yaml", "--workers", "1")
    assert answer.code == 0
    assert "tasks: 5 computed" in answer.err
    assert "accuracy" in answer.out
    assert "page: " in answer.out
    second = ask("run", "toy.yaml", "--workers", "1")
    assert (second.code, second.out.splitlines()[:5]) == (0, answer.out.splitlines()[:5])
    assert "computed" not in second.err
    assert "in the store" in second.err
    assert "0 of 5 tasks to do for 2 cells" in ask("plan", "toy.yaml").out
    assert ask("store", "verify").code == 0


def test_the_last_run_is_reported_without_naming_it(ask) -> None:
    ask("run", "toy.yaml", "--workers", "1", "--scale", "small", "--smoke")
    named = ask("report", "toy.yaml", "--scale", "small", "--smoke", "--format", "csv")
    unnamed = ask("report", "--format", "csv")
    assert (named.code, unnamed.code) == (0, 0)
    assert unnamed.out == named.out
    assert len(named.out.splitlines()) == 2


@pytest.mark.parametrize(
    ("form", "starts"),
    [("csv", "dataset,"), ("json", "{"), ("latex", "%"), ("html", ""), ("markdown", "## ")],
)
def test_a_report_without_results_has_every_format(form: str, starts: str, ask) -> None:
    Path("store").mkdir()
    answer = ask("report", "toy.yaml", "--format", form)
    assert answer.code == 0
    assert answer.out.startswith(starts)
    written = ask("report", "toy.yaml", "--format", form, "--output", "out")
    assert written.code == 0
    assert all(Path(line).is_file() for line in written.out.splitlines())


def test_an_output_folder_that_cannot_be_written_exits_with_1(ask) -> None:
    Path("store").mkdir()
    Path("out").write_text("a file")
    answer = ask("report", "toy.yaml", "--format", "csv", "--output", "out")
    assert answer.code == 1
    assert "error: cannot write out/toy.csv: File exists\n" in answer.err


def test_saved_reports_become_pages_of_their_papers(ask) -> None:
    ask("run", "toy.yaml", "--workers", "1")
    saved = ask("report", "toy.yaml", "--format", "json", "--output", "data").out.strip()
    shown = ask("report", saved, "--format", "markdown")
    assert (shown.code, shown.err) == (0, "")
    written = ask("report", saved, "--format", "markdown", "--output", "pages")
    assert written.out.split() == ["pages/README.md", "pages/other.md"]
    assert "`toy`" in Path("pages/README.md").read_text()
    assert "Papers, checked" in ask("report", saved).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy.yaml", "other.yaml"], "error: expected one spec, found 2\n"),
        (["toy.yaml", "nowhere.json"], "error: toy.yaml: not JSON: "),
        (["nowhere.json"], "error: nowhere.json: cannot be read: "),
        (["nowhere.json", "--scale", "small"], "error: --scale: needs a spec\n"),
        (["nowhere.json", "--format", "csv"], "error: --format: cannot show saved reports as csv"),
    ],
)
def test_reports_that_cannot_be_shown_together_are_refused(
    arguments: list[str], message: str, ask
) -> None:
    Path("store").mkdir()
    answer = ask("report", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(message)


def test_a_plan_needs_no_store_before_the_first_run(ask) -> None:
    assert "5 of 5 tasks to do for 2 cells" in ask("plan", "toy.yaml").out
    assert not Path("store").exists()


def test_samples_have_one_row_per_example(ask) -> None:
    ask("run", "toy.yaml", "--workers", "1")
    answer = ask("samples", "toy.yaml", "--format", "csv")
    assert (answer.code, answer.out) == (0, "toy.csv: 40 rows\n")
    assert len(Path("toy.csv").read_text().splitlines()) == 41


def test_gc_deletes_only_with_yes(ask) -> None:
    ask("run", "toy.yaml", "--workers", "1")
    Path("less.yaml").write_text(SPEC.replace("[0.0, 0.1]", "[0.0]"))
    answer = ask("store", "gc", "less.yaml")
    assert answer.code == 0
    assert "2 tasks" in answer.out
    assert "0 of 5 tasks to do" in ask("plan", "toy.yaml").out
    assert "2 tasks" in ask("store", "gc", "less.yaml", "--yes").out
    assert "2 of 5 tasks to do" in ask("plan", "toy.yaml").out


def test_the_environment_can_name_the_store(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVSPEC_STORE", "elsewhere")
    ask("run", "toy.yaml", "--workers", "1")
    assert (Path("elsewhere").is_dir(), Path("store").exists()) == (True, False)


def test_an_option_can_name_the_data_folder(ask, tmp_path: Path) -> None:
    ask("run", "toy.yaml", "--workers", "1", "--data", "my data")
    assert os.environ["INVSPEC_DATA"] == str(tmp_path / "my data")


# ─ exit codes ─


def test_a_failed_task_exits_with_1(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "run", lambda *anything: 3)
    Store(Path("store").resolve()).root.mkdir(exist_ok=True)
    answer = ask("run", "toy.yaml")
    assert answer.code == 1
    # it reports nevertheless
    assert "accuracy" in answer.out


@pytest.mark.parametrize("command", ["run", "check", "validate", "plan"])
def test_an_interrupt_exits_with_130(command: str, ask, monkeypatch: pytest.MonkeyPatch) -> None:
    from invspec.cli import plan

    def interrupt(*anything: object) -> None:
        raise KeyboardInterrupt

    Path("store").mkdir()
    monkeypatch.setattr(session, "run", interrupt)
    monkeypatch.setattr(session, "examine", interrupt)
    monkeypatch.setattr(validation, "problems", interrupt)
    monkeypatch.setattr(plan, "show", interrupt)
    answer = ask(command, "toy.yaml", *(["--set", "checks=[finite]"] if command == "check" else []))
    assert (answer.code, answer.out) == (130, "")
    message = "interrupted; finished work is kept, and the same command continues from there\n"
    assert answer.err == (message if command in ("run", "check") else "")


@pytest.mark.parametrize("command", ["--version", "schema", "list"])
def test_a_closed_stdout_is_silent(command: str) -> None:
    code = f"from invspec.cli import main; main([{command!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
