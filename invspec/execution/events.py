"""What an executor tells while it walks a plan. It prints nothing; whoever listens decides what to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from invspec.tasks import Task


@dataclass(frozen=True)
class Surveyed:
    """The first word of a run: so many tasks are to be computed."""

    to_do: int


@dataclass(frozen=True)
class Cached:
    """The store has the task's artifact, whole."""

    task: Task


@dataclass(frozen=True)
class Damaged:
    """The store's artifact is not what was written; it was set aside, as `what` says, and is computed again."""

    task: Task
    what: str


@dataclass(frozen=True)
class Started:
    """A worker took the task."""

    task: Task
    worker: str


@dataclass(frozen=True)
class Progress:
    """done of total steps or examples; numbers are the latest loss and the like."""

    task: Task
    done: int
    total: int
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Retried:
    """The worker died and the task begins again on another."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Done:
    """The artifact is in the store."""

    task: Task
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The task cannot be done; message says why, and what to do about it."""

    task: Task
    message: str


@dataclass(frozen=True)
class Skipped:
    """The task needs one that failed or was skipped."""

    task: Task
    because: Task


Event = Surveyed | Cached | Damaged | Started | Progress | Retried | Done | Failed | Skipped
