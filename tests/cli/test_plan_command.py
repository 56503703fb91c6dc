"""`invspec plan`: which tasks are done, and what the others will cost."""

import shutil

import pytest
from workbench import planned, registered, tiny

from invspec.cli import plan
from invspec.execution.choices import Choice, Choices
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.perform.runtime import Artifact
from invspec.tasks import Perturb, Train


@pytest.fixture
def toy():
    with registered():
        yield planned(tiny(attacks={"shift": {"by": {"sweep": [0.0, 0.5]}}}, seeds=[0, 1]))


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def ran(goals, root):
    list(execute(goals, Store(root), LocalExecutor()))
    return Store(root)


def table(text):
    """The cells of each line, split at spaces."""
    return [line.split() for line in text.splitlines()]


def test_a_plan_shows_what_is_done_and_what_the_others_will_cost(toy, tmp_path, capsys):
    store = ran([toy.cells[0].goal], tmp_path)
    capsys.readouterr()
    plan.show(toy, store)
    lines = table(capsys.readouterr().out)
    assert [line[:5] for line in lines[1:3]] == [
        ["train", "Standard", "Linear", "2", "1"],
        ["perturb", "Shift", "Linear", "4", "1"],
    ]
    assert lines[3][:4] == ["score", "Accuracy", "4", "1"]
    assert all(line[-1] == "s" for line in lines[1:4])
    assert " ".join(lines[4]) == (
        "coordinates: dataset (fake); model (linear); defence (standard); attack (shift); "
        "shift.by (0, 0.5); measure (accuracy); seed (0, 1)"
    )
    assert " ".join(lines[5]) == "7 of 10 tasks to do for 4 cells"
    assert lines[6][0] == "cpu:"


def test_costs_are_the_median_of_like_tasks_times_the_number_to_come(toy, tmp_path, capsys):
    store = Store(tmp_path)
    attacked = [task for task in toy.tasks if isinstance(task, Perturb)]
    for task, seconds in zip(attacked, (10.0, 1000.0, 90.0), strict=False):
        store.save(task, Artifact({}), seconds=seconds, device="cpu")
    plan.show(toy, store)
    lines = table(capsys.readouterr().out)
    # alike but for its seed is one of them
    assert lines[2] == ["perturb", "Shift", "Linear", "4", "3", "16", "min", "40", "s"]
    assert lines[1] == ["train", "Standard", "Linear", "2", "0", "?"]


def test_each_device_has_its_own_time_left(toy, tmp_path, capsys):
    store = Store(tmp_path)
    trained = [task for task in toy.tasks if isinstance(task, Train)]
    store.save(trained[0], Artifact({}), seconds=7.0, device="cpu")
    done = [task for task in toy.tasks if isinstance(task, Perturb)][:1]
    store.save(done[0], Artifact({}), seconds=2.0, device="NVIDIA H200")
    plan.show(toy, store)
    text = capsys.readouterr().out
    assert "left on NVIDIA H200  left on cpu" in text
    assert [line[5:] for line in table(text)[1:3]] == [["?", "7.0", "s"], ["6.0", "s", "?"]]


def test_a_plan_without_done_tasks_has_no_costs(toy, tmp_path, capsys):
    plan.show(toy, Store(tmp_path))
    lines = table(capsys.readouterr().out)
    assert [line[-2:] for line in lines[1:4]] == [["0", "?"]] * 3
    assert " ".join(lines[-1]).startswith("no task in the store is like those to do")


def test_a_plan_that_is_done_has_nothing_to_come(toy, tmp_path, capsys):
    store = ran([cell.goal for cell in toy.cells], tmp_path)
    plan.show(toy, store)
    lines = table(capsys.readouterr().out)
    assert [line[-1] for line in lines[1:4]] == ["-"] * 3
    assert lines[-1][0] == "0"
    assert len(lines) == 6


def test_damaged_artifacts_are_to_do(toy, tmp_path, capsys):
    store = ran([cell.goal for cell in toy.cells], tmp_path)
    (store.folder(toy.cells[0].goal) / "made.json").write_text("{")
    plan.show(toy, store)
    lines = table(capsys.readouterr().out)
    assert lines[3][:4] == ["score", "Accuracy", "4", "3"]
    assert lines[5][0] == "1"
    assert " ".join(lines[6]).endswith("from 1 task in the store")


def test_a_plan_counts_what_is_to_do_only_if_an_input_comes_out_changed(toy, tmp_path, capsys):
    store = ran([cell.goal for cell in toy.cells], tmp_path)
    of_one_net = [cell.goal for cell in toy.cells if cell.coords["seed"] == 0]
    for task in (of_one_net[0], of_one_net[0].of[0][0], of_one_net[0].train):
        shutil.rmtree(store.folder(task))
    plan.show(toy, Store(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert "3 of 10 tasks to do for 4 cells" in lines
    assert "2 more if an input, which is to do, comes out changed" in lines


def test_a_plan_tells_what_was_chosen_and_what_is_open(tmp_path, capsys):
    low = Choice("bfloat16", {"float32": 66.0, "bfloat16": 41.0}, (), 8, "cpu", "2.14.1", "today")
    with registered():
        toy = planned(tiny(precision="auto", defences={"standard": {"precision": "auto"}}))
    trained, _ = toy.answers
    Choices(tmp_path).settle(trained, "cpu", lambda question, device: low)
    plan.show(toy, Store(tmp_path))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "precision: bfloat16 to train Linear on 1x4x4 (measured 41 against 66 ms a step)",
        "precision: auto to attack Linear on 1x4x4 (measured by a run; float32 until then)",
    ]


def test_a_plan_tells_which_trainings_have_several_threads(tmp_path, capsys):
    spread = {"use": "standard", "threads": 2}
    with registered():
        content = tiny(
            defences={"standard": {}, "spread": spread},
            train=[{"dataset": "fake", "model": "linear", "defence": ["standard", "spread"]}],
            seeds=[0, 1],
        )
        plan.show(planned(content), Store(tmp_path))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "trainings on 2 threads, which is in their keys: 2"
