"""A pilot finds its run by a file, serves it, and ends with it."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import wait

import pytest
from workbench import perturb, registered, toys, train

from invspec.errors import InvspecError
from invspec.execution import wire
from invspec.execution.pools import home, pilot, slots
from invspec.execution.store import Store


@pytest.fixture
def file(tmp_path, listening):
    """Writes the file of a run, with some facts changed."""
    root = tmp_path / "store"
    root.mkdir()

    def written(**changes):
        path = tmp_path / "home.json"
        home.write(path, {**listening.facts(), **pilot.settings(root, (), 8, 0.2), **changes})
        return path

    return written


class Flight:
    """A pilot in a thread, and the run's end of its line."""

    def __init__(self, path, listening):
        self.codes = []
        self.thread = threading.Thread(target=lambda: self.codes.append(pilot.run(path, "12_3")))
        self.thread.start()
        assert wait([listening.bell], timeout=20)
        ((self.line, self.greeting),) = listening.arrivals()

    def end(self):
        self.thread.join(20)
        return self.codes


def until(line, name):
    """The next message of a name."""
    while (message := line.receive())[0] != name:
        pass
    return message


def test_a_pilot_performs_tasks_and_ends_when_the_run_hangs_up(file, listening, tmp_path):
    flight = Flight(file(), listening)
    name, job, mark, refusal = flight.greeting
    assert (name, job, refusal) == ("pilot", "12_3", "")
    assert (tmp_path / "store" / "partial" / mark).is_file()
    assert flight.line.receive()[0] == "joined"
    with registered():
        flight.line.send(("task", wire.to_json(train())))
        until(flight.line, "done")
    assert train() in Store(tmp_path / "store")
    flight.line.close()
    assert flight.end() == [0]


def test_a_pilot_ends_at_once_in_the_middle_of_a_task(file, listening):
    flight = Flight(file(), listening)
    with registered():
        flight.line.send(("task", wire.to_json(perturb(toys.Sleeps(seconds=5), train()))))
        until(flight.line, "alive")
        start = time.monotonic()
        flight.line.close()
        assert flight.end() == [0]
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"versions": {"torch": "1.0"}}, r"(the run has 1.0)"),
        ({"registries": ["/nowhere/cards"]}, "no folder /nowhere/cards"),
        ({"root": "/nowhere/store"}, "no folder /nowhere/store"),
    ],
)
def test_a_pilot_that_lacks_what_the_run_needs_refuses(
    file, listening, monkeypatch, capsys, changes, refusal
):
    monkeypatch.setattr(slots, "LAG", 0.0)
    flight = Flight(file(**changes), listening)
    assert flight.greeting[2] == ""
    assert refusal in flight.greeting[3]
    assert flight.end() == [1]
    assert refusal in capsys.readouterr().err


def test_a_pilot_that_must_have_a_gpu_and_has_none_refuses(file, listening, monkeypatch):
    monkeypatch.setattr(pilot.torch.cuda, "is_available", lambda: False)
    flight = Flight(file(gpu=True), listening)
    assert "torch finds no GPU on " in flight.greeting[3]
    assert flight.end() == [1]


def test_a_task_with_another_key_is_refused_and_ends_the_pilot(file, listening):
    flight = Flight(file(), listening)
    with registered():
        text = wire.to_json(train()).replace('"key": "', '"key": "0')
        flight.line.send(("task", text))
        refused = until(flight.line, "refused")
    assert "the task has the key" in refused[1]
    assert flight.end() == [1]


def test_a_task_that_is_none_is_a_fault_that_the_run_hears_of(file, listening, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    flight = Flight(file(), listening)
    flight.line.send(("task", "{}"))
    assert until(flight.line, "faulty") == ("faulty", "KeyError: 'task'")
    assert flight.end() == [1]


def test_a_run_that_has_ended_is_no_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slots, "LAG", 0.0)
    assert pilot.run(tmp_path / "home.json", "1") == 0
    assert "the run has ended" in capsys.readouterr().out


def test_a_run_that_does_not_answer_is_named_with_its_address(file, listening, monkeypatch):
    monkeypatch.setattr(pilot, "CONNECT", 0.0)
    listening.close()
    with pytest.raises(InvspecError, match=r"no run at 127\.0\.0\.1:\d+: ") as caught:
        pilot.run(file(), "1")
    assert "--host" in caught.value.hint


def test_another_program_at_the_address_gets_no_worker(file):
    with pytest.raises(InvspecError, match=r"another program answers at 127\.0\.0\.1:"):
        pilot.run(file(key="00" * 32), "1")


def test_progress_is_sent_once_a_second_and_all_else_at_once(monkeypatch):
    now, sent = [0.0], []

    class Home:
        send = sent.append

    monkeypatch.setattr(pilot.time, "monotonic", lambda: now[0])
    channel = pilot.SocketChannel(Home)
    for now[0] in (0.0, 0.4, 0.8, 1.2):
        channel.send(("progress", int(now[0] * 10), 30, {}))
    channel.send(("done", 1.3))
    assert [message[1] for message in sent] == [0, 12, 1.3]
