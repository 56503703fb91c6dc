"""The local executor: how many workers, of which kind, and what happens when one dies."""

import multiprocessing

import pytest
import torch
from runs import GOALS, outcome, run, tasks_of
from workbench import perturb, score, toys, train

from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor, WorkerPool
from invspec.execution.pools.workers import WorkerThread
from invspec.execution.store import Store
from invspec.tasks import needs


def test_batches_are_larger_on_a_gpu_unless_their_size_is_given(tmp_path):
    assert LocalExecutor().config("cpu", tmp_path).batch_size == 128
    assert LocalExecutor().config("cuda:0", tmp_path).batch_size == 1024
    assert LocalExecutor(batch_size=5).config("cuda:0", tmp_path).batch_size == 5


def test_there_are_no_more_workers_than_tasks(tmp_path):
    happened = run([train()], tmp_path, devices=("cpu", "cpu", "cpu"))
    assert [event.worker for event in happened if isinstance(event, events.Started)] == ["cpu"]


@pytest.fixture
def ended(tmp_path):
    """A pool of one thread, which has ended."""
    pool = WorkerPool([LocalExecutor().config("cpu", tmp_path)])
    worker = pool.workers["cpu"]
    assert isinstance(worker, WorkerThread)
    worker.pipe.send(None)
    worker._thread.join(timeout=10)
    assert worker.pipe.recv()[0] == "joined"
    yield pool
    pool.close()


def test_a_worker_that_ended_while_idle_is_started_again(ended):
    ended.give("cpu", train())
    while isinstance(event := ended.events()[0], events.Progress | events.WorkerJoined):
        pass
    assert isinstance(event, events.Done)
    assert ended.idle() == "cpu"


def test_a_thread_that_ended_midway_has_lost_its_task(ended):
    ended.workers["cpu"].task = train()
    reason = "worker cpu ended"
    assert ended.events() == [events.WorkerLost("cpu", reason), events.Lost(train(), reason)]
    assert ended.idle() == "cpu"


# ─ processes ─


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A run in two processes, shared by several tests because each takes seconds to start.

    One task kills its worker once, one always, one raises; the others succeed.
    """
    root = tmp_path_factory.mktemp("crowd")
    goals = {
        "once": score(perturb(toys.Dies(marker=str(root / "marker")))),
        "always": score(perturb(toys.Dies())),
        "raises": score(perturb(toys.Breaks())),
    }
    return root, run([*goals.values(), *GOALS], root, devices=("cpu", "cpu")), goals


def test_a_worker_that_dies_costs_its_task_a_retry(crowd):
    _, happened, goals = crowd
    task = goals["once"].of[0][0]
    retried = [event for event in happened if isinstance(event, events.Retried)]
    (reason,) = [event.reason for event in retried if event.task == task]
    assert reason.startswith("worker cpu#")
    assert reason.endswith(" was killed by signal 9")
    assert outcome(happened)[task] == outcome(happened)[goals["once"]] == "Done"
    assert tasks_of(events.Started, happened).count(task) == 2


def test_a_task_that_always_kills_its_worker_fails_after_two_attempts(crowd):
    _, happened, goals = crowd
    task = goals["always"].of[0][0]
    failed = [event for event in happened if isinstance(event, events.Failed)]
    (message,) = [event.message for event in failed if event.task == task]
    assert " was killed by signal 9 in each of 2 attempts\nhint: " in message
    assert tasks_of(events.Started, happened).count(task) == 2
    assert outcome(happened)[goals["always"]] == "Skipped"


def test_all_other_tasks_finish(crowd):
    root, happened, goals = crowd
    last = outcome(happened)
    assert (last[goals["raises"].of[0][0]], last[goals["raises"]]) == ("Failed", "Skipped")
    assert sorted(last.values()) == ["Done"] * 10 + ["Failed"] * 2 + ["Skipped"] * 2
    assert all(Store(root).flaws(task) == [] for task in last if last[task] == "Done")


def test_two_processes_compute_the_same_as_one_thread(crowd, tmp_path):
    run(GOALS, tmp_path)
    for task in {task for goal in GOALS for task in (goal, *needs(goal))}:
        first, second = Store(crowd[0]).load(task), Store(tmp_path).load(task)
        assert first.rows == second.rows
        assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_closing_the_iterator_midway_stops_the_processes(tmp_path):
    goals = [perturb(toys.Sleeps(), part=part) for part in ((0, 10), (10, 20))]
    iterator = execute(goals, Store(tmp_path), LocalExecutor(("cpu", "cpu")))
    while not isinstance(next(iterator), events.Started):
        pass
    children = multiprocessing.active_children()
    assert len(children) == 2
    iterator.close()
    assert not any(child.is_alive() for child in children)
