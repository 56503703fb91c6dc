"""Where pilots find their run: a port, and a file with its address and key for the user only."""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError
from invspec.execution.messages import Message
from invspec.execution.pools import line
from invspec.execution.pools.line import Line

# seconds to show the key, and how many connections may be about to do so
HANDSHAKE, CALLERS = 10.0, 64


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts to a new file that only the user can read."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)


class Home:
    """Listens for pilots. One that knows the key becomes an arrival; all else is hung up.

    An arrival is a line and the first message on it. `bell` can be read while there are any.
    """

    def __init__(self, host: str | None = None) -> None:
        self.key = secrets.token_bytes(32)
        self._socket = _listen(host or own_address())
        self.host, self.port = self._socket.getsockname()[:2]
        self.bell, self._button = Pipe(duplex=False)
        self._arrived: queue.SimpleQueue[tuple[Line, Message]] = queue.SimpleQueue()
        self._callers = threading.BoundedSemaphore(CALLERS)
        self._closed = False
        threading.Thread(target=self._listen, name="home", daemon=True).start()

    def facts(self) -> dict[str, Any]:
        """What a pilot needs to call, for the file."""
        return {"host": self.host, "port": self.port, "key": self.key.hex()}

    def arrivals(self) -> list[tuple[Line, Message]]:
        """The lines of new pilots and their first messages."""
        while self.bell.poll():
            self.bell.recv_bytes()
        return [self._arrived.get() for _ in range(self._arrived.qsize())]

    def close(self) -> None:
        """Stop listening, and hang up on whoever has just arrived."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for arrived, _ in self.arrivals():
            arrived.close()

    def _listen(self) -> None:
        while not self._closed:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                # closed, or out of descriptors for now
                time.sleep(0.1)
                continue
            if self._callers.acquire(blocking=False):
                threading.Thread(target=self._answer, args=(caller,), daemon=True).start()
            else:
                caller.close()

    def _answer(self, caller: socket.socket) -> None:
        """Let a caller in, if it shows the key and says a message in time."""
        limit = threading.Timer(HANDSHAKE, _hang_up, [caller])
        limit.daemon = True
        limit.start()
        # whatever a stranger sends must not hurt the run
        with caller, suppress(Exception):
            arrived = line.accept(caller, self.key)
            try:
                message = arrived.receive()
            except BaseException:
                arrived.close()
                raise
            limit.cancel()
            self._admit(arrived, message)
        limit.cancel()
        self._callers.release()

    def _admit(self, arrived: Line, message: Message) -> None:
        if self._closed:
            arrived.close()
            return
        self._arrived.put((arrived, message))
        self._button.send_bytes(b"1")


def _hang_up(caller: socket.socket) -> None:
    with suppress(OSError):
        caller.shutdown(socket.SHUT_RDWR)


def _listen(host: str) -> socket.socket:
    try:
        family, *_ = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, 0), family=family, backlog=CALLERS)
    except OSError as problem:
        hint = "--host must name an address of this machine that the nodes can reach"
        raise InvspecError(f"cannot listen at {host}: {problem.strerror}", hint=hint) from None


def own_address() -> str:
    """An address of this machine that others can reach, as far as it can know."""
    with suppress(OSError):
        address = socket.gethostbyname(socket.gethostname())
        if not address.startswith("127."):
            return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        # an address for examples: nothing is sent, but the system chooses where it would leave
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]
    return "127.0.0.1"
