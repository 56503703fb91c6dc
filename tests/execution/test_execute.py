"""A run in this process: which tasks run, in which order, and what a failure changes."""

import multiprocessing.connection
import threading

import pytest
from runs import GOALS, SHIFT, outcome, run, tasks_of
from workbench import perturb, score, toys, train

from invspec.defences.standard import Standard
from invspec.execution import events
from invspec.execution.disk import Unwritable
from invspec.execution.execute import execute
from invspec.execution.pools import local
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.execution.survey import Survey
from invspec.measures.accuracy_gap import AccuracyGap
from invspec.measures.fooling_rate import FoolingRate
from invspec.measures.top_k_error import TopKError
from invspec.tasks import Score, key, needs

# ─ what runs ─


def test_every_task_runs_once_and_after_those_that_it_needs(tmp_path):
    happened = run(GOALS, tmp_path)
    assert happened[0] == events.Surveyed(8)
    done = tasks_of(events.Done, happened)
    assert len(done) == len(set(done)) == 8
    assert all(done.index(need) < done.index(task) for task in done for need in needs(task))
    assert tasks_of(events.Started, happened) == done
    assert all(Store(tmp_path).flaws(task) == [] for task in done)


def test_trainings_come_first(tmp_path):
    started = tasks_of(events.Started, run(GOALS, tmp_path))
    assert [type(task).__name__ for task in started][:2] == ["Train", "Train"]


def test_a_finished_task_is_not_run_again(tmp_path):
    run(GOALS, tmp_path)
    assert run(GOALS, tmp_path) == [events.Surveyed(0), *map(events.Cached, GOALS)]


def test_only_what_a_missing_goal_needs_is_looked_up(tmp_path):
    run(GOALS[:1], tmp_path)
    gap = score(SHIFT, perturb(toys.Shift(by=0.5)), measure=toys.Gap())
    happened = run([GOALS[0], gap], tmp_path)
    assert set(tasks_of(events.Cached, happened)) == {GOALS[0], SHIFT, train()}
    done = tasks_of(events.Done, happened)
    assert [type(task).__name__ for task in done] == ["Perturb", "Score"]


def test_damaged_artifacts_are_named_moved_and_recomputed(tmp_path):
    run(GOALS[:1], tmp_path)
    store = Store(tmp_path)
    (store.folder(GOALS[0]) / "rows.json").write_text("[]")
    (store.folder(SHIFT) / "examples.safetensors").unlink()
    happened = run(GOALS[:1], tmp_path)
    damaged = {event.task: event.problem for event in happened if isinstance(event, events.Damaged)}
    assert "rows.json: SHA-256 is" in damaged[GOALS[0]]
    assert "examples.safetensors: missing; moved to" in damaged[SHIFT]
    assert tasks_of(events.Done, happened) == [SHIFT, GOALS[0]]
    assert tasks_of(events.Cached, happened) == [train()]


def test_a_survey_looks_each_task_up_once(tmp_path):
    visited = []

    class Counting(Store):
        def flaws(self, task):
            visited.append(task)
            return super().flaws(task)

    survey = Survey(Counting(tmp_path))
    for goal in GOALS + GOALS:
        survey.visit(goal)
    assert len(visited) == len(set(visited)) == len(survey.to_do) == 8


def test_progress_is_reported(tmp_path):
    task = train(defence=Standard(epochs=2, batch_size=8, lr=0.1))
    reports = [event for event in run([task], tmp_path) if isinstance(event, events.Progress)]
    assert reports[-1] == events.Progress(task, 6, 6, reports[-1].numbers)
    assert set(reports[-1].numbers) == {"loss", "accuracy"}


# ─ failures ─

BAD = {
    "raises": ("ValueError: toy trouble\nhint: full traceback in ", perturb(toys.Breaks())),
    "exits": ("SystemExit: toy exit\nhint: ", perturb(toys.Breaks(how="exits"))),
    "nan": (
        "Breaks (how nan) returned pixels that are not finite for 20 of 20",
        perturb(toys.Breaks(how="nan")),
    ),
    "shape": (
        "Breaks (how shape) returned float32 (20, 1, 3, 4), expected",
        perturb(toys.Breaks(how="shape")),
    ),
    "memory": ("one example does not fit into the device's memory", perturb(toys.Greedy(most=0))),
    "loss": ("the loss is ", train(defence=Standard(epochs=3, batch_size=8, lr=1e38))),
}


@pytest.mark.parametrize(("message", "bad"), BAD.values(), ids=BAD)
def test_a_failed_task_skips_what_needs_it_and_nothing_else(tmp_path, message, bad):
    goal = score(perturb(toys.Shift(), bad)) if isinstance(bad, type(train())) else score(bad)
    happened = run([goal, *GOALS], tmp_path)
    last = outcome(happened)
    (failed,) = [event for event in happened if isinstance(event, events.Failed)]
    assert failed.task == bad
    assert failed.message.startswith(message)
    dependents = [task for task in last if bad in needs(task)]
    assert {last[task] for task in dependents} == {"Skipped"}
    assert [task for task in last if last[task] != "Done" and task not in (bad, *dependents)] == []
    assert {last[task] for task in GOALS} == {"Done"}
    skipped = [event for event in happened if isinstance(event, events.Skipped)]
    assert all(event.failed_input in (bad, *dependents) for event in skipped)


def test_the_full_traceback_of_a_defect_is_in_a_file(tmp_path):
    bad = perturb(toys.Breaks())
    run([bad], tmp_path)
    text = (tmp_path / "failures" / f"{key(bad)}.txt").read_text()
    assert "Traceback" in text
    assert "with a second line" in text


def test_a_run_does_not_wait_for_idle_workers(tmp_path, monkeypatch):
    wait, waited_for = multiprocessing.connection.wait, []

    def counting(pipes, timeout):
        waited_for.append(len(pipes))
        return wait(pipes, timeout)

    monkeypatch.setattr(local, "wait", counting)
    diverging = train(defence=Standard(lr=1e38, epochs=9))
    happened = run([score(perturb(toys.Shift(), diverging))], tmp_path)
    assert list(outcome(happened).values()) == ["Failed", "Skipped", "Skipped"]
    assert set(waited_for) == {1}


def test_a_full_disk_ends_the_run(tmp_path):
    # a file where a folder is needed
    (tmp_path / "perturb").touch()
    with pytest.raises(Unwritable, match="cannot write to the store"):
        run(GOALS, tmp_path)
    (tmp_path / "perturb").unlink()
    last = outcome(run(GOALS, tmp_path))
    assert {last[task] for task in GOALS} == {"Done"}
    assert {last[task] for task in (train(), train(seed=1))} == {"Cached"}


def test_closing_the_iterator_stops_the_thread(tmp_path):
    goals = [perturb(toys.Sleeps(seconds=0.05)), *GOALS]
    iterator = execute(goals, Store(tmp_path), LocalExecutor(batch_size=1))
    while not isinstance(next(iterator), events.Progress):
        pass
    threads = [thread for thread in threading.enumerate() if thread.name == "cpu"]
    iterator.close()
    assert len(threads) == 1
    assert not threads[0].is_alive()
    assert not (tmp_path / "failures").exists()
    assert outcome(run(GOALS, tmp_path))[GOALS[0]] == "Done"


# ─ on any pool ─


class FakePool:
    """Two workers that do nothing: each event is decided by a function of the task."""

    def __init__(self, happens):
        self.happens, self.tasks, self.closed = happens, {"a": None, "b": None}, False

    def open(self, root, tasks):
        return self

    def idle(self):
        return next((name for name, task in self.tasks.items() if task is None), None)

    def spare(self) -> str | None:
        return None

    def give(self, worker, task):
        assert self.tasks.get(worker) is None
        self.tasks[worker] = task

    def events(self):
        busy = {name: task for name, task in self.tasks.items() if task is not None}
        self.tasks.update(dict.fromkeys(busy))
        return [self.happens(task) for task in busy.values()]

    def close(self):
        self.closed = True


def test_a_run_needs_nothing_but_a_pool(tmp_path):
    pool = FakePool(lambda task: events.Done(task, 1.0))
    happened = list(execute(GOALS, Store(tmp_path), pool))
    done = tasks_of(events.Done, happened)
    assert len(done) == 8
    assert all(done.index(need) < done.index(task) for task in done for need in needs(task))
    assert {event.worker for event in happened if isinstance(event, events.Started)} == {"a", "b"}
    assert pool.closed


class PoolWithSpare(FakePool):
    """A third worker is for tasks that need no device."""

    def spare(self):
        return None if self.tasks.get("spare") else "spare"

    def idle(self):
        return next((name for name in ("a", "b") if self.tasks[name] is None), None)


def test_tasks_that_need_no_device_go_to_spare_workers_first(tmp_path):
    reading, calling = score(SHIFT), score(SHIFT, measure=TopKError(k=2))
    pool = PoolWithSpare(lambda task: events.Done(task, 1.0))
    happened = list(execute([*GOALS, reading, calling], Store(tmp_path), pool))
    started = {event.task: event.worker for event in happened if isinstance(event, events.Started)}
    assert started[reading] == "spare"
    assert all(isinstance(task, Score) for task, name in started.items() if name == "spare")
    assert started[calling] != "spare"
    assert len(tasks_of(events.Done, happened)) == 9


def test_tasks_that_need_no_device_also_go_to_other_workers(tmp_path):
    # the three scores of the goals are ready at once
    pool = PoolWithSpare(lambda task: events.Done(task, 1.0))
    ready = [score(SHIFT), score(SHIFT, measure=FoolingRate()), score(SHIFT, measure=AccuracyGap())]
    happened = list(execute(ready, Store(tmp_path), pool))
    started = {event.task: event.worker for event in happened if isinstance(event, events.Started)}
    assert {started[task] for task in ready} == {"spare", "a", "b"}


def test_a_lost_task_is_retried_once_then_fails_with_a_hint(tmp_path):
    def happens(task):
        return events.Lost(task, "worker a died") if task == SHIFT else events.Done(task, 1.0)

    happened = list(execute(GOALS, Store(tmp_path), FakePool(happens)))
    assert tasks_of(events.Started, happened).count(SHIFT) == 2
    assert tasks_of(events.Retried, happened) == [SHIFT]
    (failed,) = [event for event in happened if isinstance(event, events.Failed)]
    hint = "hint: if it ran out of memory, lower --batch-size"
    assert failed == events.Failed(SHIFT, f"worker a died in each of 2 attempts\n{hint}")
    assert sorted(outcome(happened).values()) == ["Done"] * 6 + ["Failed", "Skipped"]
