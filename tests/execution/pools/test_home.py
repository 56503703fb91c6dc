"""A run lets in who knows its key, and nobody else; strangers cannot hurt it."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import struct
import threading
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import wait

import pytest

from invspec.errors import InvspecError
from invspec.execution.pools import home, line
from invspec.execution.pools.home import Home, own_address


@pytest.fixture
def call(listening):
    """Lets a pilot in that knows the key, and returns its end."""
    opened = []

    def connect():
        opened.append(line.connect((listening.host, listening.port), listening.key))
        return opened[-1]

    yield connect
    for end in opened:
        end.close()


@pytest.fixture
def stranger(listening):
    """Opens connections that know no key."""
    with contextlib.ExitStack() as stack:

        def connect():
            opened = socket.create_connection((listening.host, listening.port), timeout=10)
            return stack.enter_context(opened)

        yield connect


def arrivals(listening):
    assert wait([listening.bell], timeout=10)
    return listening.arrivals()


def is_hung_up(opened):
    """Whether the other end closes a connection, after whatever it sends."""
    with contextlib.suppress(ConnectionResetError):
        while opened.recv(4096):
            pass
    return True


def test_a_pilot_that_knows_the_key_arrives_with_its_first_message(listening, call):
    call().send(("pilot", "12", "mark", ""))
    ((arrived, message),) = arrivals(listening)
    assert message == ("pilot", "12", "mark", "")
    assert not listening.bell.poll()
    arrived.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!i", 2**31 - 1) + b"x",
        struct.pack("!i", -1) + struct.pack("!Q", 2**63),
        struct.pack("!i", -7),
        struct.pack("!i", 16) + b"0" * 16,
        b"\x00" * 1000,
    ],
)
def test_garbage_is_hung_up_and_the_next_pilot_is_let_in(listening, call, stranger, sent):
    opened = stranger()
    opened.sendall(sent)
    assert is_hung_up(opened)
    call().send(("pilot",))
    ((arrived, _),) = arrivals(listening)
    arrived.close()


def test_a_wrong_key_is_refused(listening):
    with pytest.raises(AuthenticationError):
        line.connect((listening.host, listening.port), b"w" * 32)
    assert not listening.bell.poll(0.2)


def test_a_first_message_that_is_none_is_hung_up(listening, call):
    pilot = call()
    pilot._connection.send_bytes(b"not JSON")
    with pytest.raises(EOFError):
        pilot.receive()
    assert not listening.bell.poll(0.2)


def test_a_crowd_of_silent_strangers_is_hung_up_and_pilots_get_in(
    listening, call, stranger, monkeypatch
):
    monkeypatch.setattr(home, "HANDSHAKE", 1.0)
    crowd = [stranger() for _ in range(home.CALLERS)]
    late = stranger()
    assert is_hung_up(late)
    assert all(map(is_hung_up, crowd))
    call().send(("pilot",))
    assert len(arrivals(listening)) == 1


def drip(opened, sent):
    for byte in sent:
        opened.send(bytes([byte]))
        time.sleep(0.1)


def test_a_stranger_that_sends_byte_by_byte_is_hung_up_in_time(listening, stranger, monkeypatch):
    monkeypatch.setattr(home, "HANDSHAKE", 0.5)
    opened, start = stranger(), time.monotonic()
    with pytest.raises(OSError, match=r"reset|pipe"):
        drip(opened, struct.pack("!i", 200) + b"x" * 200)
    assert time.monotonic() - start < 10


def test_a_pilot_that_has_arrived_is_not_hung_up_later(listening, call, monkeypatch):
    monkeypatch.setattr(home, "HANDSHAKE", 0.3)
    pilot = call()
    pilot.send(("pilot",))
    ((arrived, _),) = arrivals(listening)
    time.sleep(0.6)
    pilot.send(("alive",))
    assert arrived.receive() == ("alive",)
    arrived.close()


def test_nobody_is_let_in_after_the_end(listening, call):
    pilot = call()
    listening.close()
    with contextlib.suppress(BrokenPipeError):
        pilot.send(("pilot",))
    with pytest.raises((EOFError, OSError)):
        pilot.receive()
    with pytest.raises(OSError, match=r"refused|reset"):
        line.connect((listening.host, listening.port), listening.key)


def test_no_thread_outlives_a_home():
    before = set(threading.enumerate())
    listening = Home("127.0.0.1")
    listening.close()
    end = time.monotonic() + 10
    while (left := set(threading.enumerate()) - before) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left


def test_the_file_is_for_the_user_only_and_replaces_none(tmp_path, listening):
    path = tmp_path / "home.json"
    home.write(path, listening.facts())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    facts = json.loads(path.read_text())
    assert (facts["host"], facts["port"]) == (listening.host, listening.port)
    assert bytes.fromhex(facts["key"]) == listening.key
    assert len(listening.key) == 32
    with pytest.raises(FileExistsError):
        home.write(path, {})


def test_a_host_that_is_not_this_machine_is_an_error_with_a_hint():
    with pytest.raises(InvspecError, match=r"cannot listen at 203\.0\.113\.1: ") as caught:
        Home("203.0.113.1")
    assert "--host" in caught.value.hint


def test_a_loopback_address_of_the_own_name_is_not_taken_where_there_is_another(monkeypatch):
    monkeypatch.setattr(home.socket, "gethostbyname", lambda name: "127.0.1.1")
    monkeypatch.setattr(home.socket.socket, "connect", lambda self, address: None)
    monkeypatch.setattr(home.socket.socket, "getsockname", lambda self: ("10.1.2.3", 5))
    assert own_address() == "10.1.2.3"


def test_the_address_of_the_own_name_is_taken(monkeypatch):
    monkeypatch.setattr(home.socket, "gethostbyname", lambda name: "10.9.8.7")
    assert own_address() == "10.9.8.7"
