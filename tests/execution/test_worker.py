"""A worker performs tasks from its pipe until the pipe closes."""

import platform
import threading
from multiprocessing import Pipe

import pytest
import torch
from runs import SHIFT
from workbench import perturb, registered, score, toys, train

from invspec.execution import worker
from invspec.execution.channel import PipeChannel
from invspec.execution.events import Warned
from invspec.execution.messages import events_of
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import (
    WorkerConfig,
    device_name,
    is_device_fault,
    perform,
    serve,
    serve_process,
)
from invspec.perform.runtime import Artifact
from invspec.registry.cards import names
from invspec.tasks import key


def runtime_of(root):
    return StoreRuntime(Store(root), torch.device("cpu"), 8, lambda done, total, numbers: None)


def assigned(task):
    return task, key(task)


# ─ messages ─


def test_a_worker_serves_until_its_pipe_closes(tmp_path):
    ours, theirs = Pipe()
    channel = PipeChannel(theirs)
    thread = threading.Thread(target=serve, args=(channel, WorkerConfig("cpu", 8, tmp_path)))
    thread.start()
    ours.send(assigned(train()))
    assert ours.recv() == ("joined", platform.node(), "cpu")
    while (message := ours.recv())[0] == "progress":
        pass
    assert message == ("computed",)
    assert ours.recv()[0] == "done"
    assert train() in Store(tmp_path)
    ours.close()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_worker_ends_at_none_and_knows_the_users_cards(tmp_path):
    ours, theirs = Pipe()
    ours.send(None)
    with registered() as folder:
        serve_process(theirs, WorkerConfig("cpu", 8, tmp_path, (folder,)))
        assert "shift" in names("attack")


class ClosedChannel(PipeChannel):
    """A channel whose run ends once the worker has joined it."""

    def send(self, message):
        if message[0] != "joined":
            raise BrokenPipeError


def test_a_worker_whose_run_has_ended_saves_its_artifact_and_ends(tmp_path):
    for need in (train(), SHIFT):
        assert perform(need, runtime_of(tmp_path))[0] == "done"
    ours, theirs = Pipe()
    # a score sends no message before it is done
    ours.send(assigned(score(SHIFT)))
    serve(ClosedChannel(theirs), WorkerConfig("cpu", 8, tmp_path))
    assert score(SHIFT) in Store(tmp_path)


def test_a_worker_that_cannot_report_progress_ends_without_a_failure(tmp_path):
    ours, theirs = Pipe()
    ours.send(assigned(train()))
    serve(ClosedChannel(theirs), WorkerConfig("cpu", 8, tmp_path))
    assert train() not in Store(tmp_path)
    assert not (tmp_path / "failures").exists()


def test_a_defect_whose_traceback_cannot_be_saved_is_still_reported(tmp_path):
    (tmp_path / "failures").touch()
    perform(train(), runtime_of(tmp_path))
    message = perform(perturb(toys.Breaks()), runtime_of(tmp_path))
    assert message == ("failed", "ValueError: toy trouble")


class Speechless(ValueError):
    def __str__(self) -> str:
        raise TypeError("no words")


@pytest.mark.parametrize(
    "problem",
    [KeyboardInterrupt(), GeneratorExit(), SystemExit(4), Speechless(), ValueError("\ud800 odd")],
    ids=lambda problem: type(problem).__name__,
)
def test_whatever_a_method_raises_fails_its_task_alone(tmp_path, monkeypatch, problem):
    def trip(*_):
        raise problem

    monkeypatch.setattr("invspec.perform.dispatch.perform", trip)
    kind, message = perform(perturb(toys.Shift()), runtime_of(tmp_path))
    assert kind == "failed"
    assert message.startswith(type(problem).__name__)
    assert "full traceback in" in message


def test_a_worker_refuses_a_task_that_has_another_key_there_and_ends(tmp_path):
    ours, theirs = Pipe()
    ours.send((train(), "0" * 40))
    assert not serve(PipeChannel(theirs), WorkerConfig("cpu", 8, tmp_path))
    assert ours.recv()[0] == "joined"
    kind, reason = ours.recv()
    assert kind == "refused"
    assert f"the task has the key {key(train())[:12]} here and 000000000000 in the run" in reason
    assert train() not in Store(tmp_path)


@pytest.mark.parametrize(
    ("problem", "is_fault"),
    [
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (torch.AcceleratorError("an illegal memory access was encountered"), True),
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (ValueError("toy trouble"), False),
    ],
)
def test_faults_of_a_device_are_told_from_lack_of_memory_and_from_defects(problem, is_fault):
    assert is_device_fault(problem) == is_fault


def test_an_old_torch_has_no_class_for_faults(monkeypatch):
    monkeypatch.delattr(torch, "AcceleratorError")
    assert is_device_fault(RuntimeError("CUDA error: an illegal memory access"))
    assert not is_device_fault(ValueError("toy trouble"))


# ─ device ─


def test_what_a_plug_in_changed_is_set_again_for_the_next_task(tmp_path, monkeypatch):
    settings = list[tuple[int, str]]()

    def change(task, runtime):
        settings.append((torch.get_num_threads(), torch.backends.cudnn.conv.fp32_precision))
        torch.set_num_threads(2)
        torch.backends.fp32_precision = "tf32"
        return Artifact({})

    monkeypatch.setattr(worker.dispatch, "perform", change)
    ours, theirs = Pipe()
    for message in (assigned(train()), assigned(train()), None):
        ours.send(message)
    serve(PipeChannel(theirs), WorkerConfig("cpu", 8, tmp_path))
    assert settings == [(1, "ieee")] * 2


def test_made_names_the_device_and_the_time(tmp_path):
    perform(train(), runtime_of(tmp_path))
    made = Store(tmp_path).made(train())
    assert made["device"] == device_name(torch.device("cpu")) == "cpu"
    assert made["seconds"] >= 0
    assert made["finished"].endswith("+00:00")


def test_made_names_the_digests_of_what_a_task_read(tmp_path):
    runtime, store = runtime_of(tmp_path), Store(tmp_path)
    for task in (train(), SHIFT):
        assert perform(task, runtime)[0] == "done"
    assert store.made(train())["inputs"] == {}
    digest = store.made(train())["sha256"]["model.safetensors"]
    assert store.made(SHIFT)["inputs"] == {key(train()): digest}


@pytest.mark.parametrize("problem", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"])
def test_a_task_that_lacks_memory_is_no_failure_of_the_device(tmp_path, monkeypatch, problem):
    def perturb_without_memory(self, model, batch, rng):
        raise RuntimeError(problem)

    monkeypatch.setattr(toys.Shift, "perturb", perturb_without_memory)
    perform(train(), runtime_of(tmp_path))
    kind, reason = perform(SHIFT, runtime_of(tmp_path))
    assert kind == "no_memory"
    assert reason.startswith("one example does not fit into the device's memory\nhint: ")


# ─ warnings ─


class Draws(toys.Shift):
    """Draws from the generator that all code shares."""

    def perturb(self, model, batch, rng):
        torch.rand(3)
        return super().perturb(model, batch, rng)


def test_a_worker_tells_of_weaknesses_of_a_result(tmp_path):
    perform(train(), runtime_of(tmp_path))
    ours, theirs = Pipe()
    for message in (assigned(perturb(Draws())), None):
        ours.send(message)
    serve(PipeChannel(theirs), WorkerConfig("cpu", 20, tmp_path))
    told = []
    while ours.poll():
        told.append(ours.recv())
    ((_, warning),) = [message for message in told if message[0] == "warned"]
    assert warning.startswith("Draws draws from the global generator of torch")
    (event,) = events_of(("warned", warning), "worker", train())
    assert event == Warned(train(), warning)
