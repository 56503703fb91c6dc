"""A worker in the middle of a task gives signs of life; a run notices where they end."""

import threading
from multiprocessing import Pipe

import pytest
import torch
from workbench import perturb, toys, train

from invspec.execution.channel import PipeChannel
from invspec.execution.messages import events_of
from invspec.execution.pulse import MOST, STARTING, Patience, Shared, pulse
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import WorkerConfig, perform, serve


def runtime_of(root):
    return StoreRuntime(Store(root), torch.device("cpu"), 8, lambda done, total, numbers: None)


@pytest.fixture
def patience(clock):
    """Waits ten seconds for a sign of life, and watches a worker."""
    patience = Patience(10, clock)
    patience.watch("a")
    return patience


def listened(patience, clock, seconds):
    """The workers given up while the run listens for some seconds."""
    silent = []
    for _ in range(seconds):
        clock.now += 1
        silent += patience.exhausted()
    return silent


def test_a_worker_that_is_silent_for_too_long_is_named(patience, clock):
    assert listened(patience, clock, 10) == []
    assert listened(patience, clock, 1) == ["a"]
    assert patience.reason == "was silent for 10 s"


def test_any_message_is_a_sign_of_life(patience, clock):
    listened(patience, clock, 9)
    patience.heard("a")
    assert listened(patience, clock, 10) == []


def test_nothing_is_expected_of_a_worker_without_a_task(patience, clock):
    patience.forget("a")
    patience.heard("a")
    assert listened(patience, clock, 20) == []


def test_a_worker_that_has_not_joined_may_take_longer(clock):
    patience = Patience(10, clock)
    patience.watch("a", joined=False)
    assert listened(patience, clock, int(10 + STARTING)) == []
    assert listened(patience, clock, 1) == ["a"]


def test_a_run_that_was_stopped_blames_no_worker(patience, clock):
    clock.now += 3600
    assert patience.exhausted() == []
    assert listened(patience, clock, int(10 - MOST)) == []
    assert listened(patience, clock, 1) == ["a"]


def test_signs_of_life_are_sent_while_a_task_runs_and_not_afterwards():
    ours, theirs = Pipe()
    with pulse(Shared(PipeChannel(theirs)), 0.01):
        assert ours.poll(10)
    while ours.poll():
        assert ours.recv() == ("alive",)
    assert not ours.poll(0.05)


def test_a_task_goes_on_where_nobody_hears_its_signs_of_life():
    ours, theirs = Pipe()
    ours.close()
    tried = threading.Event()

    class Unheard(PipeChannel):
        def send(self, message):
            tried.set()
            super().send(message)

    with pulse(Shared(Unheard(theirs)), 0.01):
        assert tried.wait(10)
    assert not any(thread.name == "pulse" for thread in threading.enumerate())


def test_a_sign_of_life_is_no_event():
    assert events_of(("alive",), "a", train()) == events_of(("alive",), "a", None) == []


class Notes:
    """A channel with one task, which keeps all messages."""

    def __init__(self, task):
        self.tasks, self.messages = [None, task], []

    def receive(self):
        return self.tasks.pop()

    def send(self, message):
        self.messages.append(message[0])


def test_a_worker_of_any_channel_gives_signs_of_life_during_its_task(tmp_path):
    perform(train(), runtime_of(tmp_path))
    channel = Notes(perturb(toys.Sleeps(seconds=0.3)))
    serve(channel, WorkerConfig("cpu", 20, tmp_path, pulse=0.02))
    assert channel.messages[0] == "joined"
    assert channel.messages[1:3] == ["alive", "alive"]
    assert channel.messages[-1] == "done"
