"""A worker performs tasks from its pipe until the pipe closes."""

import threading
from multiprocessing import Pipe

import torch
from runs import SHIFT
from workbench import perturb, registered, score, toys, train

from invspec.execution import worker
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import (
    WorkerConfig,
    device_name,
    perform,
    serve,
    serve_process,
)
from invspec.registry.cards import names


def runtime_of(root):
    return StoreRuntime(Store(root), torch.device("cpu"), 8, lambda done, total, numbers: None)


# ─ messages ─


def test_a_worker_serves_until_its_pipe_closes(tmp_path):
    ours, theirs = Pipe()
    thread = threading.Thread(target=serve, args=(theirs, WorkerConfig("cpu", 8, tmp_path)))
    thread.start()
    ours.send(train())
    while (message := ours.recv())[0] == "progress":
        pass
    assert message[0] == "done"
    ours.close()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_worker_ends_at_none_and_knows_the_users_cards(tmp_path):
    ours, theirs = Pipe()
    ours.send(None)
    with registered() as folder:
        serve_process(theirs, WorkerConfig("cpu", 8, tmp_path, (folder,)))
        assert "shift" in names("attack")


def test_a_worker_whose_run_has_ended_saves_its_artifact_and_ends(tmp_path):
    for need in (train(), SHIFT):
        assert perform(need, runtime_of(tmp_path))[0] == "done"
    ours, theirs = Pipe()
    # a score sends no message before it is done
    ours.send(score(SHIFT))
    ours.close()
    serve(theirs, WorkerConfig("cpu", 8, tmp_path))
    assert score(SHIFT) in Store(tmp_path)


def test_a_worker_that_cannot_report_progress_ends_without_a_failure(tmp_path):
    ours, theirs = Pipe()
    ours.send(train())
    ours.close()
    serve(theirs, WorkerConfig("cpu", 8, tmp_path))
    assert train() not in Store(tmp_path)
    assert not (tmp_path / "failures").exists()


def test_a_defect_whose_traceback_cannot_be_saved_is_still_reported(tmp_path):
    (tmp_path / "failures").touch()
    perform(train(), runtime_of(tmp_path))
    message = perform(perturb(toys.Breaks()), runtime_of(tmp_path))
    assert message == ("failed", "ValueError: toy trouble")


# ─ device ─


def test_what_a_plug_in_changed_is_set_again_for_the_next_task(tmp_path, monkeypatch):
    found = list[tuple[int, str]]()

    def change(task, runtime):
        found.append((torch.get_num_threads(), torch.backends.cudnn.conv.fp32_precision))
        torch.set_num_threads(2)
        torch.backends.fp32_precision = "tf32"
        return ("done", 0.0)

    monkeypatch.setattr(worker, "perform", change)
    ours, theirs = Pipe()
    for message in (train(), train(), None):
        ours.send(message)
    serve(theirs, WorkerConfig("cpu", 8, tmp_path))
    assert found == [(1, "ieee")] * 2


def test_made_names_the_device_and_the_time(tmp_path):
    perform(train(), runtime_of(tmp_path))
    made = Store(tmp_path).made(train())
    assert made["device"] == device_name(torch.device("cpu")) == "cpu"
    assert made["seconds"] >= 0
    assert made["finished"].endswith("+00:00")
