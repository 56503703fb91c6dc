"""Walking a plan: what runs, in which order, and what becomes of everything else when something goes wrong."""

import multiprocessing
import multiprocessing.connection
import threading
from multiprocessing import Pipe

import pytest
import torch
from workbench import perturb, registered, score, toys, train

from invspec.defences.standard import Standard
from invspec.errors import SpecError
from invspec.execution import devices, events, worker
from invspec.execution.devices import Settings
from invspec.execution.pools import local
from invspec.execution.store import Store
from invspec.execution.walk import Survey, execute
from invspec.execution.worker import (
    Runtime,
    StoreJournal,
    WorkerConfig,
    do,
    serve,
    serve_process,
    settled,
)
from invspec.tasks import key, needs

SHIFT = perturb(toys.Shift())
GOALS = [
    score(SHIFT),
    score(perturb(toys.Shift(by=0.5))),
    score(perturb(toys.Shift(), train(seed=1))),
]


def run(goals, root, **settings):
    return list(execute(goals, Store(root), Settings(**settings)))


def of(kind, found):
    return [event.task for event in found if isinstance(event, kind)]


def outcome(found):
    """The last word on every task."""
    last = (events.Done, events.Failed, events.Skipped, events.Cached)
    return {event.task: type(event).__name__ for event in found if isinstance(event, last)}


# ─ in this process ─


def test_everything_is_done_once_and_after_what_it_needs(tmp_path):
    found = run(GOALS, tmp_path)
    assert found[0] == events.Surveyed(8)
    done = of(events.Done, found)
    assert len(done) == len(set(done)) == 8
    assert all(done.index(need) < done.index(task) for task in done for need in needs(task))
    assert of(events.Started, found) == done
    assert all(Store(tmp_path).flaws(task) == [] for task in done)


def test_trainings_come_first(tmp_path):
    assert [type(task).__name__ for task in of(events.Started, run(GOALS, tmp_path))][:2] == [
        "Train",
        "Train",
    ]


def test_what_is_kept_is_not_run_again(tmp_path):
    run(GOALS, tmp_path)
    assert run(GOALS, tmp_path) == [events.Surveyed(0), *map(events.Cached, GOALS)]


def test_only_what_a_missing_goal_needs_is_looked_for(tmp_path):
    run(GOALS[:1], tmp_path)
    found = run(
        [*GOALS[:1], score(SHIFT, perturb(toys.Shift(by=0.5)), measure=toys.Gap())], tmp_path
    )
    assert set(of(events.Cached, found)) == {GOALS[0], SHIFT, train()}
    assert [type(task).__name__ for task in of(events.Done, found)] == ["Perturb", "Score"]


def test_what_is_damaged_is_named_set_aside_and_computed_again(tmp_path):
    run(GOALS[:1], tmp_path)
    kept = Store(tmp_path)
    (kept.folder(GOALS[0]) / "rows.json").write_text("[]")
    (kept.folder(SHIFT) / "examples.safetensors").unlink()
    found = run(GOALS[:1], tmp_path)
    damaged = {event.task: event.what for event in found if isinstance(event, events.Damaged)}
    assert "rows.json: SHA-256 is" in damaged[GOALS[0]]
    assert "examples.safetensors: missing; set aside as" in damaged[SHIFT]
    assert of(events.Done, found) == [SHIFT, GOALS[0]]
    assert of(events.Cached, found) == [train()]


def test_progress_is_told(tmp_path):
    task = train(defence=Standard(epochs=2, batch_size=8, lr=0.1))
    told = [event for event in run([task], tmp_path) if isinstance(event, events.Progress)]
    assert told[-1] == events.Progress(task, 6, 6, told[-1].numbers)
    assert set(told[-1].numbers) == {"loss", "accuracy"}


BAD = {
    "raises": ("ValueError: toy trouble\nhint: the whole story is in ", perturb(toys.Breaks())),
    "exits": ("SystemExit: toy exit\nhint: ", perturb(toys.Breaks(how="exits"))),
    "nan": ("the attack returned pixels that are not finite", perturb(toys.Breaks(how="nan"))),
    "shape": ("AssertionError: attack changed the shape", perturb(toys.Breaks(how="shape"))),
    "memory": ("one example does not fit into the device's memory", perturb(toys.Greedy(most=0))),
    "loss": ("the loss is ", train(defence=Standard(epochs=3, batch_size=8, lr=1e38))),
}


@pytest.mark.parametrize(("message", "bad"), BAD.values(), ids=BAD)
def test_a_failing_task_skips_what_needs_it_and_nothing_else(tmp_path, message, bad):
    goal = score(perturb(toys.Shift(), bad)) if isinstance(bad, type(train())) else score(bad)
    found = run([goal, *GOALS], tmp_path)
    last = outcome(found)
    (failed,) = [event for event in found if isinstance(event, events.Failed)]
    assert failed.task == bad
    assert failed.message.startswith(message)
    dependents = [task for task in last if bad in needs(task)]
    assert {last[task] for task in dependents} == {"Skipped"}
    assert [task for task in last if last[task] != "Done" and task not in (bad, *dependents)] == []
    assert {last[task] for task in GOALS} == {"Done"}
    assert all(
        event.because in (bad, *dependents) for event in found if isinstance(event, events.Skipped)
    )


def test_the_whole_story_of_a_defect_is_in_a_file(tmp_path):
    bad = perturb(toys.Breaks())
    run([bad], tmp_path)
    story = (tmp_path / "failures" / f"{key(bad)}.txt").read_text()
    assert "Traceback" in story
    assert "with a second line" in story


def test_nobody_waits_for_workers_that_have_nothing_to_do(tmp_path, monkeypatch):
    wait, heard = multiprocessing.connection.wait, []

    def listening(pipes, timeout):
        heard.append(len(pipes))
        return wait(pipes, timeout)

    monkeypatch.setattr(multiprocessing.connection, "wait", listening)
    found = run(
        [score(perturb(toys.Shift(), train(defence=Standard(lr=1e38, epochs=9))))], tmp_path
    )
    assert list(outcome(found).values()) == ["Failed", "Skipped", "Skipped"]
    assert set(heard) == {1}


def test_a_full_disk_ends_the_run(tmp_path, monkeypatch):
    (tmp_path / "perturb").touch()  # a file where a folder is needed
    found = []
    with pytest.raises(local.Unwritable, match="cannot write to the store"):
        found.extend(iter(execute(GOALS, Store(tmp_path), Settings())))
    (tmp_path / "perturb").unlink()
    last = outcome(run(GOALS, tmp_path))
    assert {last[task] for task in GOALS} == {"Done"}
    assert {last[task] for task in (train(), train(seed=1))} == {"Cached"}


def test_closing_the_iterator_stops_the_thread(tmp_path):
    walk = execute(
        [perturb(toys.Sleeps(seconds=0.05)), *GOALS], Store(tmp_path), Settings(batch_size=1)
    )
    while not isinstance(next(walk), events.Progress):
        pass
    threads = [thread for thread in threading.enumerate() if thread.name == "cpu"]
    walk.close()
    assert len(threads) == 1
    assert not threads[0].is_alive()
    assert not (tmp_path / "failures").exists()
    assert outcome(run(GOALS, tmp_path))[GOALS[0]] == "Done"


# ─ settings ─


def test_devices(monkeypatch):
    assert devices.devices("cpu, cpu", None) == ("cpu", "cpu")
    assert devices.devices(None, 3) == ("cpu",) * 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.devices(None, None) == ("cpu",) * devices.cores()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.devices(None, None) == ("cuda:0", "cuda:1")
    assert devices.devices("cuda:1,cuda", None) == ("cuda:1", "cuda")
    assert devices.devices(None, 2) == ("cpu", "cpu")


@pytest.mark.parametrize(
    "named", ["gpu", "", "cpu,", "cuda:9", "cuda:x", "cpu:", "cpu:1", "cuda:-1", "mps"]
)
def test_an_unknown_device_is_a_clear_error(named):
    with pytest.raises(SpecError, match=r"--devices: no device '.*' here\nhint: visible: cpu"):
        devices.devices(named, None)


def test_batches_are_larger_on_a_gpu_unless_told(tmp_path):
    assert Settings().post("cpu", tmp_path).batch_size == 128
    assert Settings().post("cuda:0", tmp_path).batch_size == 1024
    assert Settings(batch_size=5).post("cuda:0", tmp_path).batch_size == 5


def test_no_more_workers_than_tasks(tmp_path):
    found = run([train()], tmp_path, devices=("cpu", "cpu", "cpu"))
    assert [event.worker for event in found if isinstance(event, events.Started)] == ["cpu"]


def test_a_survey_looks_at_each_task_once(tmp_path):
    looked = []

    class Counting(Store):
        def flaws(self, task):
            looked.append(task)
            return super().flaws(task)

    survey = Survey()
    for goal in GOALS + GOALS:
        survey.visit(goal, Counting(tmp_path))
    assert len(looked) == len(set(looked)) == len(survey.to_do) == 8


# ─ the worker ─


def bench_of(root, told=None, batch_size=8):
    return Runtime(WorkerConfig("cpu", batch_size, root), (told if told is not None else []).append)


def test_a_worker_serves_until_its_pipe_closes(tmp_path):
    near, far = Pipe()
    thread = threading.Thread(target=serve, args=(far, WorkerConfig("cpu", 8, tmp_path)))
    thread.start()
    near.send(train())
    while (word := near.recv())[0] == "progress":
        pass
    assert word[0] == "done"
    near.close()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_worker_ends_at_none_and_knows_the_users_cards(tmp_path):
    from invspec.registry.cards import names

    near, far = Pipe()
    near.send(None)
    with registered() as folder:
        serve_process(far, WorkerConfig("cpu", 8, tmp_path, (folder,)))
        assert "shift" in names("attack")


def test_a_worker_to_whom_nobody_listens_keeps_its_work_and_ends(tmp_path):
    near, far = Pipe()
    near.send(score(SHIFT))  # says nothing before it is done
    for need in (train(), SHIFT):
        assert do(need, bench_of(tmp_path))[0] == "done"
    near.close()
    serve(far, WorkerConfig("cpu", 8, tmp_path))
    assert score(SHIFT) in Store(tmp_path)


def test_a_worker_that_cannot_tell_its_progress_stops_without_a_failure(tmp_path):
    near, far = Pipe()
    near.send(train())
    near.close()
    serve(far, WorkerConfig("cpu", 8, tmp_path))
    assert train() not in Store(tmp_path)
    assert not (tmp_path / "failures").exists()


def test_progress_is_told_ten_times_a_second_and_at_the_end(tmp_path):
    told = []
    runtime = bench_of(tmp_path, told)
    for done in range(1000):
        runtime.progress(done, 1000)
    runtime.progress(1000, 1000, loss=0.5)
    assert len(told) <= 5
    assert told[-1] == ("progress", 1000, 1000, {"loss": 0.5})


def test_tasks_run_on_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with settled(torch.device("cpu")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_defect_that_cannot_be_written_down_is_still_told(tmp_path):
    (tmp_path / "failures").touch()
    for need in (train(),):
        do(need, bench_of(tmp_path))
    assert do(perturb(toys.Breaks()), bench_of(tmp_path)) == ("failed", "ValueError: toy trouble")


def test_made_says_who_made_it(tmp_path):
    do(train(), bench_of(tmp_path))
    made = Store(tmp_path).made(train())
    assert made["device"] == worker.name(torch.device("cpu")) == "cpu"
    assert made["seconds"] >= 0
    assert made["finished"].endswith("+00:00")


# ─ trainings that are killed ─


class Killed(BaseException):
    """Stands for a kill between two epochs."""


@pytest.mark.parametrize("model", [{}, {"model": toys.Tied()}], ids=["linear", "tied"])
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch, model):
    monkeypatch.setattr(StoreJournal, "pause", 0.0)
    task = train(defence=Standard(epochs=5, batch_size=5, lr=0.1, crop=1, flip=True), **model)
    do(task, bench_of(tmp_path / "undisturbed"))

    saved = StoreJournal.save

    def save_and_die(journal, state):
        saved(journal, state)
        if len(state["history"]) == 2:
            raise Killed

    monkeypatch.setattr(StoreJournal, "save", save_and_die)
    with pytest.raises(Killed):
        do(task, bench_of(tmp_path / "killed"))
    monkeypatch.setattr(StoreJournal, "save", saved)
    assert len((Store(tmp_path / "killed").read_checkpoint(task) or {})["history"]) == 2

    told = []
    assert do(task, bench_of(tmp_path / "killed", told))[0] == "done"
    assert told[0][1] == 15  # the third of five epochs, five batches each
    first, second = (
        (Store(tmp_path / name).folder(task) / "model.safetensors").read_bytes()
        for name in ("undisturbed", "killed")
    )
    assert first == second
    assert Store(tmp_path / "killed").read_checkpoint(task) is None


def test_short_epochs_are_not_all_kept(tmp_path):
    task = train(defence=Standard(epochs=5, batch_size=8, lr=0.1))
    journal = bench_of(tmp_path).journal(task)
    journal.save({"epoch": 1})
    assert journal.resume() is None
    journal._kept -= StoreJournal.pause
    journal.save({"epoch": 2})
    journal.save({"epoch": 3})
    assert journal.resume() == {"epoch": 2}


def test_a_damaged_checkpoint_starts_the_training_afresh(tmp_path):
    do(train(), bench_of(tmp_path / "undisturbed"))
    kept = Store(tmp_path / "torn")
    kept.keep_checkpoint(train(), {"history": []})
    kept.checkpoint(train()).write_bytes(b"torn")
    assert do(train(), bench_of(tmp_path / "torn"))[0] == "done"
    first, second = (
        Store(tmp_path / name).load(train()).tensors for name in ("undisturbed", "torn")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


# ─ worker processes: each takes seconds to start, so one run serves several tests ─


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Two processes; one task kills its worker once, one always, one raises; everything else is fine."""
    root = tmp_path_factory.mktemp("crowd")
    once = score(perturb(toys.Dies(marker=str(root / "marker"))))
    always, raises = score(perturb(toys.Dies())), score(perturb(toys.Breaks()))
    found = run([once, always, raises, *GOALS], root, devices=("cpu", "cpu"))
    return root, found, {"once": once, "always": always, "raises": raises}


def test_a_worker_that_dies_once_costs_its_task_a_retry(crowd):
    _, found, goals = crowd
    task = goals["once"].of[0][0]
    (retried,) = [
        event for event in found if isinstance(event, events.Retried) and event.task == task
    ]
    assert retried.reason.startswith("worker cpu#")
    assert retried.reason.endswith("died of signal 9")
    assert outcome(found)[task] == outcome(found)[goals["once"]] == "Done"
    assert of(events.Started, found).count(task) == 2


def test_a_task_that_always_kills_its_worker_fails_after_two_attempts(crowd):
    _, found, goals = crowd
    task = goals["always"].of[0][0]
    (failed,) = [
        event for event in found if isinstance(event, events.Failed) and event.task == task
    ]
    assert "died of signal 9, 2 times\nhint: out of memory? try --batch-size" in failed.message
    assert of(events.Started, found).count(task) == 2
    assert outcome(found)[goals["always"]] == "Skipped"


def test_everything_else_finishes(crowd):
    root, found, goals = crowd
    last = outcome(found)
    assert (last[goals["raises"].of[0][0]], last[goals["raises"]]) == ("Failed", "Skipped")
    assert sorted(last.values()) == ["Done"] * 10 + ["Failed"] * 2 + ["Skipped"] * 2
    assert all(Store(root).flaws(task) == [] for task in last if last[task] == "Done")


def test_two_processes_compute_what_one_thread_does(crowd, tmp_path):
    run(GOALS, tmp_path)
    for task in {need for goal in GOALS for need in (goal, *needs(goal))}:
        first, second = Store(crowd[0]).load(task), Store(tmp_path).load(task)
        assert first.rows == second.rows
        assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_closing_the_iterator_midway_stops_the_processes(tmp_path):
    goals = [perturb(toys.Sleeps(), part=part) for part in ((0, 10), (10, 20))]
    walk = execute(goals, Store(tmp_path), Settings(("cpu", "cpu")))
    while not isinstance(next(walk), events.Started):
        pass
    children = multiprocessing.active_children()
    assert len(children) == 2
    walk.close()
    assert not any(child.is_alive() for child in children)
