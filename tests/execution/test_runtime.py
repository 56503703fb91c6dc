"""The runtime of workers: rare reports, and trainings that continue after a kill."""

import pytest
import torch
from workbench import toys, train

from invspec.defences.standard import Standard
from invspec.execution.runtime import StoreJournal, StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import perform


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
    task = train(defence=Standard(epochs=5, batch_size=5, lr=0.1, crop=1, flip=True), **model)
    perform(task, runtime_of(tmp_path / "undisturbed"))

    save = StoreJournal.save

    def save_and_die(journal, state):
        save(journal, state)
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


def test_short_epochs_do_not_all_save_a_checkpoint(tmp_path):
    task = train(defence=Standard(epochs=5, batch_size=8, lr=0.1))
    journal = runtime_of(tmp_path).journal(task)
    journal.save({"epoch": 1})
    assert journal.resume() is None
    journal._saved -= StoreJournal.pause
    journal.save({"epoch": 2})
    journal.save({"epoch": 3})
    assert journal.resume() == {"epoch": 2}


def test_a_damaged_checkpoint_starts_the_training_over(tmp_path):
    perform(train(), runtime_of(tmp_path / "undisturbed"))
    checkpoints = Store(tmp_path / "torn").checkpoints
    checkpoints.save(train(), {"history": []})
    checkpoints.path(train()).write_bytes(b"torn")
    assert perform(train(), runtime_of(tmp_path / "torn"))[0] == "done"
    assert weights(tmp_path / "torn", train()) == weights(tmp_path / "undisturbed", train())
