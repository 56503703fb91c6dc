"""The worker's end of its connection to a run."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Protocol

from invspec.errors import InvspecError
from invspec.execution.messages import Message
from invspec.tasks import Task, key


class Channel(Protocol):
    """Brings tasks to a worker and its messages to the run."""

    def receive(self) -> Task | None:
        """Wait for the next task; None if the run has ended.

        Raises: InvspecError if this worker gives the task another key than the run.
        """
        ...

    def send(self, message: Message) -> None:
        """Send a message. Raises OSError if the run has ended."""
        ...


class PipeChannel:
    """A pipe from the run's own process, which sends (task, key) and None at the end."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def receive(self) -> Task | None:
        """Wait for the next task, as in Channel."""
        try:
            assignment: tuple[Task, str] | None = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if assignment is None:
            return None
        task, expected = assignment
        check_key(task, expected)
        return task

    def send(self, message: Message) -> None:
        """Send a message, as in Channel."""
        self.pipe.send(message)


def check_key(task: Task, expected: str) -> None:
    """Raise InvspecError if a task has another key in this process than in the run."""
    if (own := key(task)) != expected:
        raise InvspecError(
            f"the task has the key {own[:12]} here and {expected[:12]} in the run",
            hint="expected equal data files, versions of invspec and registries on both sides; "
            "was code of yours edited during the run?",
        )
