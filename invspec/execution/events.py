"""Events of a run. Executors yield them and print nothing; the command line shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from invspec.tasks import Task


@dataclass(frozen=True)
class Surveyed:
    """The first event of a run: the number of tasks to compute, and the tasks."""

    to_do: int
    tasks: tuple[Task, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Cached:
    """The store has an intact artifact of the task.

    by_another_run: another run computed it after Surveyed, which counted the task.
    """

    task: Task
    by_another_run: bool = False


@dataclass(frozen=True)
class Damaged:
    """The task's artifact was damaged and has been moved; the task is computed again."""

    task: Task
    problem: str


@dataclass(frozen=True)
class Outdated:
    """The task's artifact was made from an input that has changed; it is computed again.

    during_run: the input was recomputed in this run, so Surveyed did not count the task.
    """

    task: Task
    problem: str
    during_run: bool = False


@dataclass(frozen=True)
class WorkerJoined:
    """A worker is ready for tasks, on a device of a host."""

    worker: str
    host: str
    device: str


@dataclass(frozen=True)
class WorkerLost:
    """A worker ended or was given up. Its task, if it had one, is reported by Lost.

    refused: it could not work for this run, as with other versions; it may never have joined.
    """

    worker: str
    reason: str
    refused: bool = False


@dataclass(frozen=True)
class Waiting:
    """Another run computes the task; this one waits for its artifact. holder is that process."""

    task: Task
    holder: str


@dataclass(frozen=True)
class Started:
    """A worker received the task."""

    task: Task
    worker: str


@dataclass(frozen=True)
class Progress:
    """done of total steps or examples; numbers holds the latest loss, accuracy..."""

    task: Task
    done: int
    total: int
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Warned:
    """The task is computed, but its result has a weakness; message says which."""

    task: Task
    message: str


@dataclass(frozen=True)
class Lost:
    """The worker was lost before it finished the task. The run then yields Retried or Failed.

    by_machine: the task is not to blame, as when a machine was lost or a worker refused the task.
    """

    task: Task
    reason: str
    by_machine: bool = False


@dataclass(frozen=True)
class Retried:
    """The worker died; another one will perform the task again."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Done:
    """The task's artifact is in the store."""

    task: Task
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The task cannot be computed; message says why and what to do."""

    task: Task
    message: str


@dataclass(frozen=True)
class Skipped:
    """The task depends on one that failed or was skipped."""

    task: Task
    failed_input: Task


# what a pool of workers reports, and what a run yields
WorkerEvent = WorkerJoined | WorkerLost
TaskEvent = Progress | Warned | Lost | Done | Failed
PoolEvent = WorkerEvent | TaskEvent
RunEvent = Surveyed | Cached | Damaged | Outdated | Waiting | Started | Retried | Skipped
Event = RunEvent | WorkerEvent | Progress | Warned | Done | Failed
