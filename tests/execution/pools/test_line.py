"""A line carries JSON between ends that know a key; anything else ends it."""

from __future__ import annotations

import contextlib
import math
import pickle
import socket
import struct
import threading
from multiprocessing import AuthenticationError
from pathlib import Path

import pytest

from invspec.execution.pools import line

KEY = b"k" * 32


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def ends(server):
    """The run's end and the pilot's end of a line."""
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(answer(server, KEY)))
    thread.start()
    pilot = line.connect(server.getsockname(), KEY)
    thread.join()
    yield accepted[0], pilot
    accepted[0].close()
    pilot.close()


def answer(server, key):
    opened, _ = server.accept()
    with opened:
        return line.accept(opened, key)


def test_messages_arrive_as_they_were_sent_in_both_directions(ends):
    run, pilot = ends
    pilot.send(("progress", 1, 2, {"loss": 0.5, "accuracy": math.inf}))
    assert run.receive() == ("progress", 1, 2, {"loss": 0.5, "accuracy": math.inf})
    run.send(("task", "ä" * 300_000))
    assert pilot.receive() == ("task", "ä" * 300_000)


def test_a_pilot_notices_a_server_with_another_key(server):
    def refuse():
        # the pilot hangs up when it sees the wrong key
        with contextlib.suppress(EOFError, OSError, AuthenticationError):
            answer(server, b"other")

    thread = threading.Thread(target=refuse)
    thread.start()
    with pytest.raises(AuthenticationError):
        line.connect(server.getsockname(), KEY)
    thread.join()


@pytest.mark.parametrize("sent", [b"\xff\x00", b"{}", b"[]", b"[1]", b'"done"', b"[" * 100_000])
def test_what_is_no_message_is_an_error(ends, sent):
    run, pilot = ends
    pilot._connection.send_bytes(sent)
    with pytest.raises(ValueError, match=r"no message|nested|decode|Expecting"):
        run.receive()


class Touches:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(ends, tmp_path):
    run, pilot = ends
    pickle.loads(pickle.dumps(Touches(tmp_path / "control")))
    assert (tmp_path / "control").exists()
    pilot._connection.send(Touches(tmp_path / "touched"))
    with pytest.raises(ValueError, match=r"decode|Expecting"):
        run.receive()
    assert not (tmp_path / "touched").exists()


def test_a_message_that_says_it_is_too_large_is_refused_before_it_is_read(ends):
    run, pilot = ends
    pilot._connection._send(struct.pack("!i", line.PILOT_LIMIT + 1))
    with pytest.raises(ValueError, match=f"a message of more than {line.PILOT_LIMIT} bytes"):
        run.receive()


def test_half_a_message_does_not_block_the_run_for_long(ends, monkeypatch):
    run, pilot = ends
    monkeypatch.setattr(line, "STALL", 1)
    line._set_timeouts(run.fileno(), receive=1)
    pilot._connection._send(struct.pack("!i", 100) + b"half")
    with pytest.raises(ValueError, match="half a message"):
        run.receive()


def send_often(pilot):
    for _ in range(10):
        pilot.send(("alive",))


def test_the_end_of_the_other_end_is_an_error_of_both_verbs(ends):
    run, pilot = ends
    run.close()
    with pytest.raises(EOFError):
        pilot.receive()
    # the first one after the end may still be accepted by the system
    with pytest.raises(BrokenPipeError):
        send_often(pilot)


def test_a_pilot_waits_for_its_task_without_a_limit(ends):
    _, pilot = ends
    with socket.socket(fileno=pilot.fileno()) as opened:
        limit = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        opened.detach()
    assert limit == struct.pack("ll", 0, 0)
