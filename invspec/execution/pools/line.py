"""A connection between a run and a pilot: both prove that they know a key, then speak JSON.

Nothing that arrives is unpickled, and no message may be larger than a limit.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from invspec.execution.messages import Message

# largest message in bytes of a pilot, and of a run, whose tasks describe all that they need
PILOT_LIMIT, RUN_LIMIT = 2**20, 2**26
# seconds that the other end may take to send a message that it has begun
STALL = 10
# seconds: a silent connection is checked after IDLE, every PROBE, and given up after LOST
IDLE, PROBE, LOST = 15, 5, 30


class Line:
    """One end of a connection. A message is a list, whose first item is its name."""

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection, self.limit = connection, limit

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._connection.fileno()

    def send(self, message: Message) -> None:
        """Send a message. Raises BrokenPipeError if the other end has gone."""
        try:
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError as problem:
            raise BrokenPipeError(str(problem)) from None

    def receive(self) -> Message:
        """Wait for a message. Raises OSError or EOFError at the end, ValueError if it is none."""
        text = self._read()
        try:
            message = json.loads(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not (isinstance(message, list) and message and isinstance(message[0], str)):
            raise ValueError(f"no message: {text[:40]!r}")
        return tuple(message)

    def _read(self) -> bytes:
        try:
            return self._connection.recv_bytes(self.limit)
        except BlockingIOError:
            raise ValueError("half a message") from None
        except OSError as problem:
            # an error of the system has a number, that of a length that is too large has none
            if problem.errno is not None:
                raise
            raise ValueError(f"a message of more than {self.limit} bytes") from None

    def close(self) -> None:
        """Close this end."""
        self._connection.close()


def accept(accepted: socket.socket, key: bytes) -> Line:
    """The run's end of a connection that it has accepted, once the other end has shown its key.

    Raises: Exception of any kind if it does not know the key or sends anything else.
    """
    connection = _connection(accepted)
    try:
        deliver_challenge(connection, key)
        answer_challenge(connection, key)
    except BaseException:
        connection.close()
        raise
    return Line(connection, PILOT_LIMIT)


def connect(address: tuple[str, int], key: bytes) -> Line:
    """The pilot's end. Raises OSError or EOFError without a run there, AuthenticationError."""
    with socket.create_connection(address, timeout=STALL) as opened:
        connection = _connection(opened)
    try:
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    except BaseException:
        connection.close()
        raise
    # it waits for its next task as long as it takes
    _set_timeouts(connection.fileno(), receive=0)
    return Line(connection, RUN_LIMIT)


def _connection(opened: socket.socket) -> Connection:
    """A connection with a descriptor of its own, which notices where the other end vanishes."""
    opened.settimeout(None)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # not every system has these
    for name, value in {
        "TCP_KEEPIDLE": IDLE,
        "TCP_KEEPINTVL": PROBE,
        "TCP_KEEPCNT": (LOST - IDLE) // PROBE,
        "TCP_USER_TIMEOUT": LOST * 1000,
    }.items():
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    _set_timeouts(opened.fileno(), receive=STALL)
    return Connection(os.dup(opened.fileno()))


def _set_timeouts(descriptor: int, receive: int) -> None:
    """Let reads and writes of a socket fail after some seconds; 0 is never."""
    with socket.socket(fileno=os.dup(descriptor)) as opened:
        for option, seconds in ((socket.SO_RCVTIMEO, receive), (socket.SO_SNDTIMEO, STALL)):
            opened.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
