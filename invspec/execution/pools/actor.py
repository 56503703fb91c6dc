"""A slot on a cluster, seen from the run: its actor, and what the run knows of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from invspec.execution import wire
from invspec.tasks import Task


@dataclass
class Actor:
    """A slot. ref is what the run waits for: how the actor joins, or the messages about a task.

    refusal is why the slot cannot work for this run, if so; again, when to ask for an actor; and
    made_room_for, the slot that has the GPU alone meanwhile.
    """

    name: str
    handle: Any = None
    ref: Any = None
    node: str = ""
    joined: bool = False
    task: Task | None = None
    refusal: str = ""
    again: float = 0.0
    made_room_for: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it has joined and may get tasks."""
        return self.joined and not self.refusal

    def ask(self, start: Callable[[], Any]) -> None:
        """Ask for an actor, if there is none and its time has come. It joins once it is placed."""
        if self.handle is None and time.monotonic() >= self.again:
            self.handle, self.refusal = start(), ""
            self.ref = self.handle.enter.remote()

    def perform(self, task: Task) -> None:
        """Send a task."""
        self.task = task
        perform = self.handle.perform.options(num_returns="streaming")
        self.ref = perform.remote(wire.to_json(task))

    def end(self, ray: Any, again: float = 0.0) -> None:
        """End the actor, and allow another one after some seconds.

        It may still run, cut off from the cluster: what it then stores is the same.
        """
        if self.handle is not None:
            ray.kill(self.handle)
        self.handle = self.ref = None
        self.joined, self.again = False, time.monotonic() + again
