"""What workers say about their current task, as tuples that JSON holds too, and their meaning."""

from __future__ import annotations

from typing import Any

from invspec.execution.disk import Unwritable
from invspec.execution.events import (
    Done,
    Failed,
    Lost,
    PoolEvent,
    Progress,
    Warned,
    WorkerJoined,
    WorkerLost,
)
from invspec.tasks import Task

# One of
#   ("joined", host, device)             the worker is ready
#   ("progress", done, total, numbers)   as in events.Progress
#   ("warned", message)                  the result of the task will have a weakness
#   ("computed",)                        its artifact is being written, and another task may come:
#                                        no event; a pool need not make use of it
#   ("done", seconds)
#   ("failed", reason)                   reason may end with a hint
#   ("no_memory", reason)                as "failed"; where workers share a device, the task is
#                                        worth another try alone (pools/sharing.py)
#   ("alive",)                           a sign of life in the middle of a task: no event
#   ("faulty", reason)                   its device is in an unusable state: the worker ends
#   ("refused", reason)                  the worker cannot work for this run, and ends
#   ("unwritable", reason)               the store is full or read-only
Message = tuple[Any, ...]

# messages about the task that is being computed, while another may still be saved
DURING = ("progress", "warned")
# messages after which a worker ends, and after which it has no task
ENDING = ("faulty", "refused")
LAST = ("done", "failed", "no_memory", *ENDING)


def events_of(message: Message, worker: str, task: Task | None) -> list[PoolEvent]:
    """The events of a message. task is what the worker was given, None if it was idle.

    Raises: Unwritable, since no other artifact could be stored either.
    """
    match message:
        case ("joined", str(host), str(device)):
            return [WorkerJoined(worker, host, device)]
        case ("alive",) | ("computed",):
            return []
        case ("unwritable", str(reason)):
            raise Unwritable(reason)
        case _:
            assert task is not None, f"message {message!r} from idle worker {worker}"
            return _of_task(message, worker, task)


def _of_task(message: Message, worker: str, task: Task) -> list[PoolEvent]:
    match message:
        case ("progress", int(done), int(total), dict(numbers)):
            return [Progress(task, done, total, numbers)]
        case ("warned", str(text)):
            return [Warned(task, text)]
        case ("done", float(seconds)):
            return [Done(task, seconds)]
        case ("failed" | "no_memory", str(reason)):
            return [Failed(task, reason)]
        case ("faulty", str(reason)):
            return lost(worker, task, reason=f"{worker}: {reason}")
        case ("refused", str(reason)):
            refusal = f"{worker} refuses the task: {reason}"
            return lost(worker, task, reason=refusal, by_machine=True)
        case _:
            raise AssertionError(f"unknown message {message!r} from worker {worker}")


def lost(
    worker: str, *tasks: Task | None, reason: str, by_machine: bool = False
) -> list[PoolEvent]:
    """The events of a worker that ended, perhaps in the middle of tasks."""
    of_tasks = [Lost(task, reason, by_machine) for task in tasks if task is not None]
    return [WorkerLost(worker, reason), *of_tasks]
