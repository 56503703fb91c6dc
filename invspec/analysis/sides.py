"""One side of a comparison: a study with what its store holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from invspec.analysis import health, readings
from invspec.analysis.health import Health
from invspec.analysis.readings import Artifacts, Group
from invspec.plan.cells import Plan
from invspec.tasks import Task, Train

# The digest of a task's result in a store; None if it is not known.
Digest = Callable[[Task], str | None]


@dataclass(frozen=True, eq=False)
class Side:
    """A plan, its results, and the digests by which nets of two stores are known to be the same.

    others counts the results that another version of the code stored under other keys.
    """

    plan: Plan
    store: Artifacts
    digest: Digest
    others: int = 0

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Its numbers, in the order of the plan."""
        return tuple(readings.groups(readings.collect(self.plan, self.store)))

    @cached_property
    def health(self) -> Health:
        """What the checks of its nets and attacks found."""
        return health.health(self.plan, self.store)

    @cached_property
    def nets(self) -> frozenset[Train]:
        """The trainings under its numbers."""
        return frozenset(
            reading.cell.goal.train for group in self.groups for reading in group.readings
        )


def shared_nets(first: Side, second: Side) -> frozenset[Train]:
    """The trainings whose weights both sides have alike, to the last bit."""
    return frozenset(net for net in first.nets & second.nets if _is_shared(net, first, second))


def _is_shared(net: Train, first: Side, second: Side) -> bool:
    own = first.digest(net)
    return own is not None and own == second.digest(net)
