"""A pool of pilots: jobs of a batch system that call the run, work, and may be lost or requeued."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from invspec.execution import wire
from invspec.execution.events import PoolEvent, WorkerLost
from invspec.execution.messages import ENDING, LAST, Message, events_of, lost
from invspec.execution.pools.home import Home
from invspec.execution.pools.jobs import Jobs, Roster, State
from invspec.execution.pools.line import Line
from invspec.execution.pools.slots import appears
from invspec.execution.pulse import Patience
from invspec.tasks import Task

# seconds to wait for messages
PAUSE = 1.0
# seconds that a job may take to end after its pilot has gone
ENDS = 60.0


@dataclass
class Pilot:
    """A pilot as the run sees it. joined: it may get tasks."""

    job: str
    line: Line
    mark: str
    joined: bool = False
    task: Task | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since it called."""
        return time.monotonic() - self.since

    @property
    def name(self) -> str:
        """Its worker's name, by which the user finds the job."""
        return f"slurm#{self.job}"


class PilotPool:
    """A Pool of pilots. A job whose pilot was lost is replaced, unless it is requeued.

    A task whose pilot has gone waits until the batch system says how the job ended: only a process
    that crashed is the task's fault.
    """

    def __init__(self, home: Home, jobs: Jobs, root: Path, number: int, patience: Patience) -> None:
        self.home, self.root, self.patience = home, root, patience
        self.roster = Roster(jobs, number)
        self.pilots: dict[str, Pilot] = {}
        # by job: pilots with a task whose line ended, why, and how long to wait for the job's end
        self._gone: dict[str, tuple[Pilot, str, float]] = {}

    def idle(self) -> str | None:
        """The name of a pilot without a task, None if there is none."""
        free = (pilot for pilot in self.pilots.values() if pilot.joined and pilot.task is None)
        return next((pilot.name for pilot in free), None)

    def spare(self) -> str | None:
        """All pilots are alike."""
        return None

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
        answered = self.roster.look({pilot.job for pilot in self.pilots.values()})
        happened += [event for job in list(self._gone) for event in self._settle(job, answered)]
        if not happened:
            self.roster.check()
        return happened

    def close(self) -> None:
        """End all pilots and their jobs. A task in the middle leaves no artifact."""
        self.home.close()
        for pilot in self.pilots.values():
            pilot.line.close()
        self.roster.jobs.close(keep=bool(self.roster.ended))

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
        if not self.roster.admits(job):
            line.close()
            return []
        # a job that was requeued may come back before its end was noticed
        gone = self._supersede(pilot)
        self.pilots[pilot.name] = pilot
        self.patience.watch(pilot.name, joined=False)
        return [*gone, *(self._refuse(pilot, refusal) if refusal else [])]

    def _supersede(self, pilot: Pilot) -> list[PoolEvent]:
        """Lose the pilot that a job had before."""
        reason = "its job was started again"
        if before := self.pilots.get(pilot.name):
            return self._lose(before, reason)
        if pilot.job not in self._gone:
            return []
        before, *_ = self._gone.pop(pilot.job)
        return lost(before.name, before.task, reason=reason, by_machine=True)

    def _join(self, pilot: Pilot, message: Message) -> list[PoolEvent]:
        mark = self.root / "partial" / Path(pilot.mark).name
        if not appears(mark):
            text = f"{self.root} on {message[1]} is another folder"
            return self._refuse(pilot, f"{text}\nhint: the store must be a shared folder")
        mark.unlink(missing_ok=True)
        self.patience.forget(pilot.name)
        pilot.joined = True
        self.roster.served.add(pilot.job)
        return events_of(message, pilot.name, None)

    def _refuse(self, pilot: Pilot, refusal: str) -> list[PoolEvent]:
        """Use no pilot of this job any more."""
        is_new = self.roster.refuse(pilot.job, refusal)
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
            return self._part(pilot, _reason(problem))
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
            self.roster.refuse(pilot.job, str(message[1]))
        if message[0] == "done":
            self.roster.succeeded()
        if message[0] in LAST and task is not None:
            pilot.task = None
            self.patience.forget(pilot.name)
        if message[0] in ENDING:
            self.roster.lost(pilot.age)
            self._drop(pilot)
        return events

    def _give_up(self, pilot: Pilot, reason: str | None = None) -> list[PoolEvent]:
        """Lose a pilot that is silent or not what it should be, and end its job."""
        events = self._lose(pilot, reason or self.patience.reason)
        self.roster.jobs.cancel(pilot.job)
        return events

    def _part(self, pilot: Pilot, reason: str) -> list[PoolEvent]:
        """Lose a pilot whose line has ended. Its task, if it has one, waits for the verdict."""
        if pilot.task is None:
            return self._lose(pilot, reason)
        self._gone[pilot.job] = pilot, reason, time.monotonic() + ENDS
        self._drop(pilot)
        return []

    def _settle(self, job: str, answered: bool) -> list[PoolEvent]:
        """The loss of a task whose pilot has gone, once it is known how the job ended."""
        pilot, reason, end = self._gone[job]
        state = self.roster.state(job) if answered else State.RUNNING
        if state is State.RUNNING and time.monotonic() < end:
            self.roster.look_soon()
            return []
        del self._gone[job]
        if state is State.CRASHED:
            words = self.roster.jobs.death(job)
            reason = state.value + (words and f": {words}")
            return lost(pilot.name, pilot.task, reason=reason)
        self.roster.lost(pilot.age)
        known = reason if state is State.RUNNING else state.value
        return lost(pilot.name, pilot.task, reason=known, by_machine=True)

    def _lose(self, pilot: Pilot, reason: str) -> list[PoolEvent]:
        """Lose a pilot by no fault of its task."""
        self.roster.lost(pilot.age)
        task, joined = pilot.task, pilot.joined
        self._drop(pilot)
        return lost(pilot.name, task, reason=reason, by_machine=True) if joined else []

    def _drop(self, pilot: Pilot) -> None:
        """Hang up. The next look finds whether its job has ended."""
        self.patience.forget(pilot.name)
        pilot.line.close()
        self.pilots.pop(pilot.name, None)
        self.roster.look_soon()


def _reason(problem: Exception) -> str:
    """Why a line ended, in words."""
    match problem:
        case EOFError() | ConnectionError():
            return "its job ended or was interrupted"
        case TimeoutError():
            return "its node does not answer"
        case _:
            return str(problem)
