"""The runtime of workers: rare reports, and trainings that continue after a kill."""

import itertools
import threading
import time

import pytest
import torch
from workbench import toys, train

from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.execution.checkpoints import Checkpoints
from invspec.execution.runtime import StoreJournal, StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import perform
from invspec.ops.draws import Stream
from invspec.perform.train import fresh
from invspec.training.auxiliary import NO_AUXILIARY
from invspec.training.checkpoint import Checkpoint


def runtime_of(root, reports=None):
    reports = [] if reports is None else reports
    return StoreRuntime(Store(root), torch.device("cpu"), 8, lambda *report: reports.append(report))


def weights(root, task):
    return (Store(root).folder(task) / "model.safetensors").read_bytes()


def test_progress_is_reported_ten_times_per_second_and_at_the_end(tmp_path):
    reports = []
    runtime = runtime_of(tmp_path, reports)
    for done in range(1000):
        runtime.progress(done, 1000)
    runtime.progress(1000, 1000, loss=0.5)
    assert len(reports) <= 5
    assert reports[-1] == (1000, 1000, {"loss": 0.5})


class Killed(BaseException):
    """Stands for a kill between two epochs."""


@pytest.mark.parametrize("model", [{}, {"model": toys.Tied()}], ids=["linear", "tied"])
def test_a_killed_training_continues_to_the_same_bytes(tmp_path, monkeypatch, model):
    monkeypatch.setattr(StoreJournal, "pause", 0.0)
    monkeypatch.setattr(StoreJournal, "share", 1.0)
    task = train(defence=Standard(epochs=5, batch_size=5, lr=0.1, crop=1, flip=True), **model)
    perform(task, runtime_of(tmp_path / "undisturbed"))

    save = StoreJournal.save

    def save_and_die(journal, state):
        save(journal, state)
        journal.runtime.writer.wait()
        if len(state["history"]) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StoreJournal, "save", save_and_die)
        with pytest.raises(Killed):
            perform(task, runtime_of(tmp_path / "killed"))
    checkpoints = Store(tmp_path / "killed").checkpoints
    assert len((checkpoints.load(task) or {})["history"]) == 2

    reports = []
    assert perform(task, runtime_of(tmp_path / "killed", reports))[0] == "done"
    # it starts with the third of five epochs of five batches
    assert reports[0][0] == 15
    assert weights(tmp_path / "killed", task) == weights(tmp_path / "undisturbed", task)
    assert checkpoints.load(task) is None


def test_a_resumed_training_counts_the_seconds_before_the_kill(tmp_path):
    store, task = Store(tmp_path), train(defence=Standard(epochs=2, batch_size=8, lr=0.1))
    killed = runtime_of(tmp_path)
    journal = killed.journal(task)
    journal._due = 0
    killed.resume_after(1000.0)
    net = fresh(task)
    optimiser = task.defence.new_optimiser(net.parameters())
    journal.save(Checkpoint(net, NO_AUXILIARY, optimiser, Stream("killed")).state())
    killed.writer.wait()

    resumed = runtime_of(tmp_path)
    assert perform(task, resumed)[1] > 1000
    assert 1000 < store.made(task)["seconds"] < 1100
    # the next task of the same worker starts from zero
    perform(train(seed=1), resumed)
    assert store.made(train(seed=1))["seconds"] < 100


def test_a_checkpoint_of_an_older_version_counts_no_seconds(tmp_path):
    runtime = runtime_of(tmp_path)
    runtime.store.checkpoints.save(train(), {"history": []})
    assert runtime.journal(train()).resume() == {"history": []}
    assert runtime.seconds < 100


def test_short_epochs_do_not_all_save_a_checkpoint(tmp_path):
    task = train(defence=Standard(epochs=5, batch_size=8, lr=0.1))
    runtime = runtime_of(tmp_path)
    journal = runtime.journal(task)
    journal.save({"epoch": 1})
    assert journal.resume() is None
    journal._due = 0
    journal.save({"epoch": 2})
    runtime.writer.wait()
    journal.save({"epoch": 3})
    assert journal.resume() == {"epoch": 2}


@pytest.mark.parametrize(
    ("cost", "checkpoints"), [(0.125, 200), (10.0, 6)], ids=["cheap", "costly"]
)
def test_checkpoints_are_five_seconds_apart_and_take_a_twentieth_of_the_time(
    tmp_path, monkeypatch, cost, checkpoints
):
    now = 0.0
    saved = []

    def write(self, task, content):
        nonlocal now
        now += cost
        saved.append(now)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(Checkpoints, "write", write)
    runtime = runtime_of(tmp_path)
    journal = runtime.journal(train())
    while now < 1020:
        now += 0.5
        journal.save({})
        runtime.writer.wait()
    pauses = [after - before - cost for before, after in itertools.pairwise(saved)]
    assert min(pauses) >= 5
    assert cost * (len(saved) - 1) <= 0.05 * (saved[-1] - saved[0])
    assert abs(len(saved) - checkpoints) <= 0.1 * checkpoints


def test_the_artifact_of_another_machine_is_waited_for(tmp_path):
    perform(train(), runtime_of(tmp_path))
    folder = Store(tmp_path).folder(train())
    folder.rename(tmp_path / "late")
    timer = threading.Timer(0.5, (tmp_path / "late").rename, [folder])
    timer.start()
    loaded = runtime_of(tmp_path).load(train())
    timer.join()
    assert set(loaded.tensors) == set(Store(tmp_path).load(train()).tensors)


def test_an_artifact_that_never_appears_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(StoreRuntime, "patience", 0.1)
    with pytest.raises(
        InvspecError,
        match=r"of a finished task has not appeared within 0 s\nhint: expected --store to be",
    ):
        runtime_of(tmp_path).load(train())


def test_a_damaged_checkpoint_starts_the_training_over(tmp_path):
    perform(train(), runtime_of(tmp_path / "undisturbed"))
    checkpoints = Store(tmp_path / "torn").checkpoints
    checkpoints.save(train(), {"history": []})
    checkpoints.path(train()).write_bytes(b"torn")
    assert perform(train(), runtime_of(tmp_path / "torn"))[0] == "done"
    assert weights(tmp_path / "torn", train()) == weights(tmp_path / "undisturbed", train())
