"""The local executor: how many workers, of which kind, and what happens when one dies."""

import multiprocessing
import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest
import torch
from runs import GOALS, SHIFT, outcome, run, tasks_of
from workbench import perturb, score, toys, train

from invspec.attacks.pgd import PGD
from invspec.datasets.fake import Fake
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.execution import events, threads, worker
from invspec.execution.execute import execute
from invspec.execution.pools import local, workers
from invspec.execution.pools.local import LocalExecutor, WorkerPool
from invspec.execution.pools.workers import WorkerProcess, WorkerThread
from invspec.execution.store import Store
from invspec.models.stdcnn import StdCNN
from invspec.tasks import needs


def test_batches_are_larger_on_a_gpu_unless_their_size_is_given(tmp_path):
    assert LocalExecutor().config("cpu", tmp_path).batch_size == 128
    assert LocalExecutor().config("cuda:0", tmp_path).batch_size == 1024
    assert LocalExecutor(batch_size=5).config("cuda:0", tmp_path).batch_size == 5


def test_workers_of_one_gpu_share_its_memory(tmp_path):
    executor = LocalExecutor(("cuda:0", "cuda:1", "cuda:0", "cuda:0", "cuda:0"))
    shares = [executor.config(device, tmp_path).share for device in ("cuda:0", "cuda:1")]
    assert shares == [0.25, 1]


def test_there_are_no_more_workers_than_tasks(tmp_path):
    happened = run([train()], tmp_path, devices=("cpu", "cpu", "cpu"))
    assert [event.worker for event in happened if isinstance(event, events.Started)] == ["cpu"]


def test_a_spare_worker_starts_with_its_first_task_and_changes_no_bit(tmp_path):
    expected = run(GOALS, tmp_path / "alone")
    happened = run(GOALS, tmp_path / "spare", spares=1)
    started = [event for event in happened if isinstance(event, events.Started)]
    assert {event.worker for event in started} == {"cpu", "spare#0"}
    assert all(event.task in GOALS for event in started if event.worker == "spare#0")
    assert outcome(happened) == outcome(expected)
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}
        for root in (tmp_path / "alone", tmp_path / "spare")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 8


def test_spare_workers_that_get_no_task_are_not_started(tmp_path):
    executor = LocalExecutor(spares=2)
    with closing(executor.open(tmp_path, 1)) as pool:
        assert list(pool.workers) == ["cpu"]
        assert pool.idle() == "cpu"
        assert pool.spare() == "spare#0"


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


def test_a_thread_that_ended_while_idle_is_replaced_by_a_process(ended):
    ended.give("cpu", train())
    assert isinstance(ended.workers["cpu"], WorkerProcess)
    happened = []
    while not (happened and isinstance(happened[-1], events.Done)):
        happened += ended.events()
    assert isinstance(happened[0], events.WorkerJoined)
    assert ended.idle() == "cpu"


def test_a_thread_that_ended_midway_has_lost_its_task(ended):
    ended.workers["cpu"].task = train()
    reason = "worker cpu ended"
    assert ended.events() == [events.WorkerLost("cpu", reason), events.Lost(train(), reason)]
    assert ended.idle() == "cpu"


def test_a_defect_of_a_thread_costs_its_task_a_retry_in_a_process(tmp_path, monkeypatch):
    def trip(*_):
        raise AttributeError("toy trouble of the worker itself")

    monkeypatch.setattr("invspec.execution.worker.settle", trip)
    happened = list(execute([train()], Store(tmp_path), LocalExecutor()))
    (lost,) = [event for event in happened if isinstance(event, events.WorkerLost)]
    assert lost.reason == "worker cpu ended: AttributeError: toy trouble of the worker itself"
    assert isinstance(happened[-1], events.Done)


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
    reason, *later = [event.reason for event in retried if event.task == task]
    assert reason.startswith("worker cpu#")
    assert reason.endswith(" was killed by signal 9")
    assert outcome(happened)[task] == outcome(happened)[goals["once"]] == "Done"
    # it may be lost again while it is saved, if its worker's next task is the one that always kills
    assert tasks_of(events.Started, happened).count(task) == 2 + len(later)


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
    # a worker may die after it saved a task, which the retry then finds in the store
    ends = {task: "Done" if last[task] == "Cached" else last[task] for task in last}
    assert sorted(ends.values()) == ["Done"] * 10 + ["Failed"] * 2 + ["Skipped"] * 2
    assert all(Store(root).flaws(task) == [] for task in ends if ends[task] == "Done")


def test_two_processes_compute_the_same_as_one_thread(crowd, tmp_path):
    run(GOALS, tmp_path)
    for task in {task for goal in GOALS for task in (goal, *needs(goal))}:
        first, second = Store(crowd[0]).load(task), Store(tmp_path).load(task)
        assert first.rows == second.rows
        assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


# ─ saving ─


class Late(Store):
    """A store on a disk that takes long to save what the toy Shift computed."""

    def save(self, task, artifact, **facts):
        if task == SHIFT:
            assert STARTED.wait(10), "the next task waits until this one is saved"
        super().save(task, artifact, **facts)


STARTED = threading.Event()


def test_the_next_task_is_computed_while_an_artifact_is_saved(tmp_path, monkeypatch):
    STARTED.clear()
    monkeypatch.setattr(worker, "Store", Late)
    other = perturb(toys.Shift(by=0.5))
    happened = []
    for event in execute([SHIFT, other], Store(tmp_path), LocalExecutor()):
        happened.append(event)
        if event == events.Started(other, "cpu"):
            STARTED.set()
    assert outcome(happened) == dict.fromkeys([train(), SHIFT, other], "Done")
    assert tasks_of(events.Done, happened) == [train(), SHIFT, other]


@pytest.mark.parametrize("is_noticed", ["by its pipe", "by the next task"])
def test_a_worker_that_ends_while_it_saves_has_lost_that_task(ended, is_noticed):
    ended.workers["cpu"].saving = SHIFT
    happened = []
    if is_noticed == "by the next task":
        ended.give("cpu", train())
    while not happened:
        happened += ended.events()
    reason = "worker cpu ended"
    assert happened[:2] == [events.WorkerLost("cpu", reason), events.Lost(SHIFT, reason)]
    assert ended.idle() == (None if is_noticed == "by the next task" else "cpu")


def test_a_task_that_was_only_being_saved_is_not_to_blame_for_the_next_one(ended):
    ended.workers["cpu"].saving = SHIFT
    ended.workers["cpu"].task = train()
    reason = "worker cpu ended"
    assert ended.events() == [
        events.WorkerLost("cpu", reason),
        events.Lost(train(), reason),
        events.Lost(SHIFT, reason, by_machine=True),
    ]


# ─ faults ─


def poisoned(folder, **settings):
    """The events of a run of 30 tasks, in which one worker's device fails at its sixth task."""
    marker = str(folder / "marker")
    goals = [perturb(toys.Poisons(number=number, marker=marker)) for number in range(30)]
    happened = run(goals, folder / "store", **settings)
    assert Path(marker).exists()
    return happened


def assert_costs_one_retry(happened):
    assert set(outcome(happened).values()) == {"Done"}
    assert len(outcome(happened)) == 31
    (retried,) = [event for event in happened if isinstance(event, events.Retried)]
    (lost,) = [event for event in happened if isinstance(event, events.WorkerLost)]
    reason = "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert retried.reason == lost.reason == f"{lost.worker}: {reason}"


@pytest.mark.slow
def test_a_worker_whose_device_failed_costs_one_retry_in_thirty_tasks(tmp_path):
    happened = poisoned(tmp_path, devices=("cpu", "cpu"))
    assert_costs_one_retry(happened)
    joined = [event.worker for event in happened if isinstance(event, events.WorkerJoined)]
    assert set(joined) == {"cpu#0", "cpu#1"}


def test_after_a_fault_in_this_process_a_process_of_its_own_does_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(toys.Poison, "taken", False)
    monkeypatch.setattr(toys.Poison, "performed", 0)
    assert_costs_one_retry(poisoned(tmp_path))
    # this process is still unusable, so the rest ran elsewhere
    assert toys.Poison.taken


@pytest.mark.slow
def test_a_frozen_worker_is_replaced_and_one_without_progress_is_not(tmp_path):
    frozen = perturb(toys.Freezes(marker=str(tmp_path / "marker")))
    # sends no progress for twice as long as a silent worker is waited for
    slow = perturb(toys.Sleeps(seconds=8))
    happened = run([frozen, slow], tmp_path / "store", devices=("cpu", "cpu"), patience=4.0)
    assert outcome(happened) == dict.fromkeys([train(), frozen, slow], "Done")
    (retried,) = [event for event in happened if isinstance(event, events.Retried)]
    assert retried.task == frozen
    assert retried.reason.endswith(" was silent for 4 s")
    lost = [event for event in happened if isinstance(event, events.WorkerLost)]
    assert [event.reason for event in lost] == [retried.reason]


def test_a_frozen_worker_does_not_outlive_its_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "TIMEOUT", 1)
    process = WorkerProcess("cpu#0", LocalExecutor().config("cpu", tmp_path))
    os.kill(process._process.pid, signal.SIGSTOP)
    os.waitpid(process._process.pid, os.WUNTRACED)
    process.stop()
    assert process._process.exitcode == -signal.SIGKILL


# ─ cores ─


@pytest.fixture
def two_idle_cores(monkeypatch):
    """Operations are proven when they come a second time, and pay."""
    monkeypatch.setattr(local, "cores", lambda: 2)
    monkeypatch.setattr(threads, "RECURRENCES", 2)
    monkeypatch.setattr(threads, "PAYS", float("inf"))


CONVOLVED = train(
    dataset=Fake(shape=(1, 16, 16), classes=3, train=96, test=32),
    model=StdCNN(),
    defence=AdversarialTraining(
        epochs=2, batch_size=32, attack=PGD(eps=0.1, steps=3), lr=0.05, momentum=0.9
    ),
)


def test_idle_cores_change_no_byte_of_a_payload(tmp_path, two_idle_cores):
    attacked = perturb(PGD(eps=0.2, steps=5), CONVOLVED, part=(0, 32))
    for goal in (CONVOLVED, attacked):
        # of a single task each, so that it runs in this process
        run([goal], tmp_path / "one")
        run([goal], tmp_path / "two", devices=("cpu", "cpu"))
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    for task in (CONVOLVED, attacked):
        assert ("threads" in one.made(task), two.made(task)["threads"]) == (False, 2)
        files = {path.name: path.read_bytes() for path in one.folder(task).iterdir()}
        del files["made.json"]
        assert len(files) >= 2
        assert files == {name: (two.folder(task) / name).read_bytes() for name in files}


def test_a_single_device_is_a_single_core(tmp_path, two_idle_cores):
    run([CONVOLVED], tmp_path, devices=("cpu",))
    assert "threads" not in Store(tmp_path).made(CONVOLVED)


def test_a_training_has_the_threads_of_its_key_and_the_next_task_has_one(tmp_path, monkeypatch):
    threads_of_tasks, compute = [], worker.compute

    def watched(task, runtime, spare):
        threads_of_tasks.append(torch.get_num_threads())
        return compute(task, runtime, spare)

    monkeypatch.setattr(worker, "compute", watched)
    spread = train(threads=2)
    run([spread, perturb(toys.Shift(), spread)], tmp_path)
    assert threads_of_tasks == [2, 1]
    store = Store(tmp_path)
    assert store.made(spread)["threads"] == 2
    assert "threads" not in store.made(perturb(toys.Shift(), spread))
    assert torch.get_num_threads() == 1


def test_no_task_starts_on_cores_that_a_training_has(tmp_path):
    executor = LocalExecutor(devices=("cpu", "cpu"))
    pool = executor.open(tmp_path, tasks=2)
    try:
        pool.give("cpu#0", train(threads=2))
        assert pool.idle() is None
        while not any(isinstance(event, events.Done) for event in pool.events()):
            pass
        assert pool.idle() == "cpu#0"
    finally:
        pool.close()


# ─ memory ─


def test_a_task_that_runs_out_of_memory_is_tried_again_alone_on_its_device(tmp_path):
    (tmp_path / "held").mkdir()
    held, marker = str(tmp_path / "held"), str(tmp_path / "marker")
    greedy = perturb(toys.NeedsAll(folder=held, marker=marker))
    others = [perturb(toys.Occupies(number=number, folder=held)) for number in range(6)]
    happened = run([greedy, *others], tmp_path / "store", devices=("cpu", "cpu"))
    assert outcome(happened) == dict.fromkeys([train(), greedy, *others], "Done")
    assert tasks_of(events.Started, happened).count(greedy) == 1
    (lost,) = [event for event in happened if isinstance(event, events.WorkerLost)]
    (worker,) = [e.worker for e in happened if isinstance(e, events.Started) and e.task == greedy]
    assert lost.reason == f"made room for a task of {worker}, which ran out of memory"
    done = tasks_of(events.Done, happened)
    assert done.index(greedy) <= 3, "it waited for tasks that started after it ran out of memory"
    # from then on, nothing starts before it is computed; while it is saved, each worker may start
    middle = happened[happened.index(lost) : happened.index(done_of(greedy, happened))]
    assert len(tasks_of(events.Started, middle)) <= 2


def done_of(task, happened):
    return next(
        event for event in happened if isinstance(event, events.Done) and event.task == task
    )


def test_a_task_that_does_not_fit_alone_fails(tmp_path):
    folder, marker = str(tmp_path), str(tmp_path / "marker")
    greedy = perturb(toys.NeedsAll(folder=folder, marker=marker, quiet=True))
    happened = run([greedy, SHIFT], tmp_path / "store", devices=("cpu", "cpu"))
    (failed,) = [event for event in happened if isinstance(event, events.Failed)]
    assert failed.message.startswith("one example does not fit into the device's memory\nhint: ")
    assert outcome(happened) == {train(): "Done", greedy: "Failed", SHIFT: "Done"}


def test_closing_the_iterator_midway_stops_the_processes(tmp_path):
    goals = [perturb(toys.Sleeps(), part=part) for part in ((0, 10), (10, 20))]
    iterator = execute(goals, Store(tmp_path), LocalExecutor(("cpu", "cpu")))
    while not isinstance(next(iterator), events.Started):
        pass
    # other tests may have left processes of their own
    children = [child for child in multiprocessing.active_children() if child.name[:4] == "cpu#"]
    assert len(children) == 2
    iterator.close()
    assert not any(child.is_alive() for child in children)
