"""A pool of pilots: jobs of a batch system that call the run, work, and may be lost or requeued."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

from invspec.errors import InvspecError
from invspec.execution import wire
from invspec.execution.events import PoolEvent, WorkerLost
from invspec.execution.messages import ENDING, LAST, Message, events_of, lost
from invspec.execution.pools.home import Home
from invspec.execution.pools.line import Line
from invspec.execution.pools.slots import appears
from invspec.execution.pulse import Patience
from invspec.tasks import Task

# seconds between two looks at the jobs while some have no pilot: usually, and after a loss
LOOK, SOON = 15.0, 2.0
# seconds to wait for messages
PAUSE = 1.0
# pilots lost in a row, without a task done, after which no more jobs replace them
FRUITLESS = 5


class Jobs(Protocol):
    """The batch system, which runs jobs whose pilots call home. They are known by their ids."""

    def submit(self, number: int) -> list[str]:
        """Submit jobs. Raises InvspecError if the batch system refuses them."""
        ...

    def alive(self) -> set[str] | None:
        """The jobs that run, or that wait to run (again); None if the system does not answer."""
        ...

    def cancel(self, job: str) -> None:
        """End a job for good."""
        ...

    def last_words(self, job: str) -> str:
        """The last line that a job printed about its end, empty if it printed nothing."""
        ...

    def close(self, keep: bool) -> None:
        """Cancel all jobs that are left. Delete what they printed, unless it is to be kept."""
        ...


@dataclass
class Pilot:
    """A pilot as the run sees it. joined: it may get tasks."""

    job: str
    line: Line
    mark: str
    joined: bool = False
    task: Task | None = None

    @property
    def name(self) -> str:
        """Its worker's name, by which the user finds the job."""
        return f"slurm#{self.job}"


class PilotPool:
    """A Pool of pilots. A job whose pilot was lost is replaced, unless it is requeued."""

    def __init__(self, home: Home, jobs: Jobs, root: Path, number: int, patience: Patience) -> None:
        self.home, self.jobs, self.root, self.patience = home, jobs, root, patience
        self.pilots: dict[str, Pilot] = {}
        # jobs that may still call, that have ended, that ever joined, and that were refused and why
        self.open = set(jobs.submit(number))
        self.ended: list[str] = []
        self.served: set[str] = set()
        self.refusals: dict[str, str] = {}
        self._fruitless = self._missing = 0
        self._next_look = time.monotonic() + SOON

    def idle(self) -> str | None:
        """The name of a pilot without a task, None if there is none."""
        free = (pilot for pilot in self.pilots.values() if pilot.joined and pilot.task is None)
        return next((pilot.name for pilot in free), None)

    def give(self, worker: str, task: Task) -> None:
        """Send a task to an idle pilot. If that fails, the pilot is lost at the next events()."""
        pilot = self.pilots[worker]
        pilot.task = task
        self.patience.watch(worker)
        try:
            pilot.line.send(("task", wire.to_json(task)))
        except OSError:
            # reading says so, too
            return

    def events(self) -> list[PoolEvent]:
        """Wait for messages of pilots, for a second at most.

        Raises: InvspecError if no pilot is left, and none can come; Unwritable.
        """
        happened: list[PoolEvent] = []
        ends = {pilot.line.fileno(): pilot for pilot in self.pilots.values()}
        for ready in wait([self.home.bell, *ends], timeout=PAUSE):
            happened += self._read(ends[ready]) if isinstance(ready, int) else self._welcome()
        for name in self.patience.exhausted():
            happened += self._give_up(self.pilots[name])
        if time.monotonic() >= self._next_look:
            self._look()
        return happened

    def close(self) -> None:
        """End all pilots and their jobs. A task in the middle leaves no artifact."""
        self.home.close()
        for pilot in self.pilots.values():
            pilot.line.close()
        self.jobs.close(keep=bool(self.ended))

    # ─ pilots come ─

    def _welcome(self) -> list[PoolEvent]:
        return [
            event for line, message in self.home.arrivals() for event in self._greet(line, message)
        ]

    def _greet(self, line: Line, message: Message) -> list[PoolEvent]:
        match message:
            case ("pilot", str(job), str(mark), str(refusal)):
                pilot = Pilot(job, line, mark)
            case _:
                line.close()
                return []
        if job not in self.open or job in self.refusals:
            line.close()
            return []
        # a job that was requeued may come back before its end was noticed
        before = self.pilots.get(pilot.name)
        gone = [] if before is None else self._lose(before, "its job was started again")
        self.pilots[pilot.name] = pilot
        self.patience.watch(pilot.name, joined=False)
        return [*gone, *(self._refuse(pilot, refusal) if refusal else [])]

    def _join(self, pilot: Pilot, message: Message) -> list[PoolEvent]:
        mark = self.root / "partial" / Path(pilot.mark).name
        if not appears(mark):
            text = f"{self.root} on {message[1]} is another folder"
            return self._refuse(pilot, f"{text}\nhint: the store must be a shared folder")
        mark.unlink(missing_ok=True)
        self.patience.forget(pilot.name)
        pilot.joined = True
        self.served.add(pilot.job)
        return events_of(message, pilot.name, None)

    def _refuse(self, pilot: Pilot, refusal: str) -> list[PoolEvent]:
        """Use no pilot of this job any more."""
        is_new = refusal not in self.refusals.values()
        self.refusals[pilot.job] = refusal
        self._drop(pilot)
        first = refusal.splitlines()[0]
        return [WorkerLost(pilot.name, first, refused=True)] if is_new else []

    # ─ messages and losses ─

    def _read(self, pilot: Pilot) -> list[PoolEvent]:
        """Read a message of a pilot as events."""
        if self.pilots.get(pilot.name) is not pilot:
            # another one has just taken its place
            return []
        try:
            message = pilot.line.receive()
        except ValueError as problem:
            return self._give_up(pilot, f"sent {problem}")
        except (EOFError, OSError) as problem:
            return self._lose(pilot, _reason(problem))
        self.patience.heard(pilot.name)
        try:
            return self._understand(pilot, message)
        except AssertionError as problem:
            return self._give_up(pilot, str(problem))

    def _understand(self, pilot: Pilot, message: Message) -> list[PoolEvent]:
        if message[0] == "joined" and not pilot.joined:
            return self._join(pilot, message)
        events, task = events_of(message, pilot.name, pilot.task), pilot.task
        if message[0] == "refused":
            self.refusals[pilot.job] = str(message[1])
        if message[0] == "done":
            self._fruitless = 0
        if message[0] in LAST and task is not None:
            pilot.task = None
            self.patience.forget(pilot.name)
        if message[0] in ENDING:
            self._fruitless += 1
            self._drop(pilot)
        return events

    def _give_up(self, pilot: Pilot, reason: str | None = None) -> list[PoolEvent]:
        """Lose a pilot that is silent or not what it should be, and end its job."""
        events = self._lose(pilot, reason or self.patience.reason)
        self.jobs.cancel(pilot.job)
        return events

    def _lose(self, pilot: Pilot, reason: str) -> list[PoolEvent]:
        self._fruitless += 1
        task, joined = pilot.task, pilot.joined
        self._drop(pilot)
        return lost(pilot.name, task, reason, by_machine=True) if joined else []

    def _drop(self, pilot: Pilot) -> None:
        """Hang up. The next look finds whether its job has ended."""
        self.patience.forget(pilot.name)
        pilot.line.close()
        self.pilots.pop(pilot.name, None)
        self._next_look = min(self._next_look, time.monotonic() + SOON)

    # ─ jobs end ─

    def _look(self) -> None:
        """Replace jobs that have ended. Raises InvspecError if none is left."""
        self._next_look = time.monotonic() + LOOK
        away = self.open - {pilot.job for pilot in self.pilots.values()}
        if away and (alive := self.jobs.alive()) is not None:
            ended = away - alive
            self.open -= ended
            self.ended += sorted(ended)
            self._missing += len(ended & self.served - set(self.refusals))
        if self._missing and self._fruitless <= FRUITLESS:
            self._replace()
        if not self.open:
            raise self._no_pilot()

    def _replace(self) -> None:
        try:
            self.open |= set(self.jobs.submit(self._missing))
        except InvspecError:
            # the batch system may accept them later, while others work
            if not self.open:
                raise
            return
        self._missing = 0

    def _no_pilot(self) -> InvspecError:
        refusals: Sequence[str] = list(self.refusals.values())
        if refusals:
            return InvspecError(f"no pilot can work for this run: {refusals[-1]}")
        words = self.jobs.last_words(self.ended[-1])
        return InvspecError("no pilot is left: all jobs have ended" + (words and f": {words}"))


def _reason(problem: Exception) -> str:
    """Why a line ended, in words."""
    match problem:
        case EOFError() | ConnectionError():
            return "its job ended or was interrupted"
        case TimeoutError():
            return "its node does not answer"
        case BlockingIOError():
            return "it stopped in the middle of a message"
        case _:
            return str(problem)
