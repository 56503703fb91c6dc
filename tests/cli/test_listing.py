"""What people read about a plan and a store."""

import pytest
from workbench import perturb, planned, registered, score, tiny, toys, train

from invspec.cli import plan, store
from invspec.execution.devices import Settings
from invspec.execution.store import Store
from invspec.execution.walk import execute
from invspec.perform.runtime import Artifact
from invspec.tasks import Perturb


@pytest.fixture
def toy():
    with registered():
        yield planned(tiny(attacks={"shift": {"by": {"sweep": [0.0, 0.5]}}}, seeds=[0, 1]))


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def ran(goals, root):
    list(execute(goals, Store(root), Settings()))
    return Store(root)


def table(text):
    """The words of each line."""
    return [line.split() for line in text.splitlines()]


def test_a_plan_shows_what_is_done_and_what_the_rest_will_cost(toy, tmp_path, capsys):
    kept = ran([toy.cells[0].goal], tmp_path)
    capsys.readouterr()
    plan.show(toy, kept)
    lines = table(capsys.readouterr().out)
    assert [line[:5] for line in lines[1:3]] == [
        ["train", "Standard", "Linear", "2", "1"],
        ["perturb", "Shift", "Linear", "4", "1"],
    ]
    assert lines[3][:4] == ["score", "Accuracy", "4", "1"]
    assert all(line[-1] == "s" for line in lines[1:4])
    assert " ".join(lines[-1]) == "7 of 10 tasks to do for 4 cells"


def test_costs_are_the_median_of_what_is_done_times_what_is_left(toy, tmp_path, capsys):
    kept, attacked = Store(tmp_path), [task for task in toy.tasks if isinstance(task, Perturb)]
    for task, seconds in zip(attacked, (10.0, 1000.0, 90.0), strict=False):
        kept.save(task, Artifact({}), seconds=seconds)
    plan.show(toy, kept)
    assert table(capsys.readouterr().out)[2] == [
        "perturb",
        "Shift",
        "Linear",
        "4",
        "3",
        "90.0",
        "1.5",
        "min",
    ]


def test_a_plan_of_which_nothing_is_done_has_no_costs(toy, tmp_path, capsys):
    plan.show(toy, Store(tmp_path))
    assert [line[-2:] for line in table(capsys.readouterr().out)[1:4]] == [["?", "?"]] * 3


def test_a_plan_that_is_done_has_nothing_to_come(toy, tmp_path, capsys):
    kept = ran([cell.goal for cell in toy.cells], tmp_path)
    plan.show(toy, kept)
    lines = table(capsys.readouterr().out)
    assert [line[-1] for line in lines[1:4]] == ["-"] * 3
    assert lines[-1][0] == "0"


def test_what_is_damaged_counts_as_to_do(toy, tmp_path, capsys):
    kept = ran([cell.goal for cell in toy.cells], tmp_path)
    (kept.folder(toy.cells[0].goal) / "made.json").write_text("{")
    plan.show(toy, kept)
    lines = table(capsys.readouterr().out)
    assert lines[3][:4] == ["score", "Accuracy", "4", "3"]
    assert lines[-1][0] == "1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1.0 min"),
        (90, "1.5 min"),
        (5400, "1.5 h"),
        (129_600, "1.5 d"),
    ],
)
def test_durations_read_well(seconds, text):
    assert plan.duration(seconds) == text


def test_what_is_kept_is_counted_by_kind(toy, tmp_path, capsys):
    kept = ran([toy.cells[0].goal], tmp_path)
    store.show_sizes(kept)
    assert [line[:2] for line in table(capsys.readouterr().out)[1:]] == [
        ["train", "1"],
        ["perturb", "1"],
        ["score", "1"],
    ]
    store.show_sizes(Store(tmp_path / "nowhere"))
    assert [line[1:] for line in table(capsys.readouterr().out)[1:]] == [["0", "0.0"]] * 3


def test_verifying_names_sets_aside_and_counts(tmp_path, capsys):
    kept = ran([score(perturb(toys.Shift()))], tmp_path)
    assert store.count_damaged(kept) == 0
    (kept.folder(train()) / "task.json").unlink()
    assert store.count_damaged(kept) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "3 intact, 0 damaged"
    assert said[1].startswith(
        f"damaged: train {kept.folder(train()).name}: task.json: missing; moved to "
    )
    assert said[2] == "2 intact, 1 damaged; the next run recomputes them"
    assert train() not in kept
