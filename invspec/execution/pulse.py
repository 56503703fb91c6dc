"""Signs of life: a worker that performs a task sends them, and a run notices where they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from invspec.execution.channel import Channel
from invspec.execution.messages import Message

# seconds between two signs of life, and without any, after which a worker is replaced
PULSE, PATIENCE = 5.0, 120.0
# additional seconds for a worker that has not joined yet: it may import from a slow disk
STARTING = 60.0
# Longest time in seconds that counts between two looks. A run that was stopped longer than that
# heard nothing because it did not listen.
MOST = 2.0


def between_signs(patience: float) -> float:
    """Seconds between two signs of life: a run hears several before its patience ends."""
    return min(PULSE, patience / 4)


class Shared:
    """A channel that several threads of a worker use."""

    def __init__(self, channel: Channel) -> None:
        self.receive = channel.receive
        self._channel, self._lock = channel, threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message, as in Channel."""
        with self._lock:
            self._channel.send(message)


@contextmanager
def pulse(channel: Shared, seconds: float) -> Generator[None, None, None]:
    """Send a sign of life every few seconds, from a thread, while the context lasts."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(seconds):
            try:
                channel.send(("alive",))
            except OSError:
                # the run has ended; the worker's next message notices it, too
                return

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Patience:
    """How long each worker with a task has been silent, while the run listened."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._silence: dict[str, float] = {}
        self._looked = clock()

    def watch(self, worker: str, *, joined: bool = True) -> None:
        """Expect signs of life from a worker, which got a task."""
        self._silence[worker] = 0.0 if joined else -STARTING

    def heard(self, worker: str) -> None:
        """A watched worker sent a message."""
        if worker in self._silence:
            self._silence[worker] = 0.0

    def forget(self, worker: str) -> None:
        """Expect nothing more from a worker."""
        self._silence.pop(worker, None)

    def exhausted(self) -> list[str]:
        """The workers that have been silent for too long. Call it after reading messages."""
        now = self._clock()
        passed, self._looked = min(now - self._looked, MOST), now
        for worker in self._silence:
            self._silence[worker] += passed
        return [worker for worker, silence in self._silence.items() if silence > self.seconds]

    @property
    def reason(self) -> str:
        """Why a worker is given up."""
        return f"was silent for {self.seconds:.0f} s"
