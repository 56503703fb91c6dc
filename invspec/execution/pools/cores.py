"""How the tasks that run on a machine share its CPU cores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from invspec.execution.threads import own_threads
from invspec.tasks import Task


@dataclass(frozen=True)
class Cores:
    """The cores of a machine, and how many of them a run may use: one a slot.

    Without slots, as beside GPUs, each task has one.
    """

    cores: int
    slots: int | None

    def are_left(self, tasks: Iterable[Task]) -> bool:
        """Whether another task may start beside these, of which some use several threads."""
        return self.slots is None or sum(map(own_threads, tasks)) < self.slots

    def share(self, tasks: Iterable[Task]) -> int:
        """Threads that each of these tasks may use.

        A power of two, so that few numbers are ever proven.
        """
        usable = min(self.cores, self.slots or 1)
        share = usable // max(1, sum(map(own_threads, tasks)))
        return 1 << max(0, share.bit_length() - 1)
