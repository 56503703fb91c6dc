"""The jobs of a run in a batch system: which are left, how they ended, and which are replaced."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from invspec.errors import InvspecError

# seconds between two looks at the jobs while some have no pilot: usually, and after a loss
LOOK, SOON = 15.0, 2.0
# pilots lost in a row, each in less than some seconds and without a task done, after which no more
# jobs replace them
FRUITLESS, BRIEF = 5, 600.0


class State(Enum):
    """What a batch system says about a job; after the last two it is over."""

    PENDING = "its job was interrupted, and will run again"
    RUNNING = "its job runs, or is about to end"
    STOPPED = "its job was ended"
    CRASHED = "its process crashed"

    @property
    def is_over(self) -> bool:
        """Whether the job will not run any more."""
        return self in (State.STOPPED, State.CRASHED)


class Jobs(Protocol):
    """The batch system, which runs jobs whose pilots call home. They are known by their ids."""

    def submit(self, number: int) -> list[str]:
        """Submit jobs. Raises InvspecError if the batch system refuses them."""
        ...

    def states(self) -> Mapping[str, State] | None:
        """The states of the jobs that the system knows; None if it does not answer."""
        ...

    def cancel(self, job: str) -> None:
        """End a job for good."""
        ...

    def last_words(self, job: str) -> str:
        """The last line that a job's process printed, empty if it printed nothing."""
        ...

    def death(self, job: str) -> str:
        """What the batch system printed about the end of a job's process, empty if nothing."""
        ...

    def close(self, keep: bool) -> None:
        """Cancel all jobs that are left. Delete what they printed, unless it is to be kept."""
        ...


class Roster:
    """The jobs that may still call. One that has ended after its pilot served is replaced."""

    def __init__(self, jobs: Jobs, number: int) -> None:
        self.jobs = jobs
        # jobs that may call, that have ended, whose pilots ever joined, and that were refused
        self.open = set(jobs.submit(number))
        self.ended: list[str] = []
        self.served: set[str] = set()
        self.refusals: dict[str, str] = {}
        self.states: Mapping[str, State] = {}
        self._fruitless = self._missing = 0
        self._next_look = time.monotonic() + SOON

    def admits(self, job: str) -> bool:
        """Whether a pilot of this job may work for the run."""
        return job in self.open and job not in self.refusals

    def refuse(self, job: str, reason: str) -> bool:
        """Admit no pilot of a job any more. Returns whether the reason is new."""
        first, *_ = reason.splitlines()
        is_new = all(first not in known.splitlines()[:1] for known in self.refusals.values())
        self.refusals[job] = reason
        return is_new

    def lost(self, seconds: float) -> None:
        """A pilot was lost some seconds after it came, by no fault of its task."""
        self._fruitless = self._fruitless + 1 if seconds < BRIEF else 0

    def succeeded(self) -> None:
        """A pilot has done a task."""
        self._fruitless = 0

    def look_soon(self) -> None:
        """Look at the jobs soon: one may have ended."""
        self._next_look = min(self._next_look, time.monotonic() + SOON)

    def look(self, working: set[str]) -> bool:
        """Learn the states of the jobs, if it is time, and replace those that have ended.

        working are the jobs that have a pilot. Returns whether the batch system has answered.
        """
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK
        away = self.open - working
        answer = self.jobs.states() if away else {}
        if answer is not None:
            self.states = answer
            self._retire({job for job in away if self.state(job).is_over})
        if self._missing and self._fruitless <= FRUITLESS:
            self._replace()
        return answer is not None

    def state(self, job: str) -> State:
        """The state of a job at the last look. One that is not known any more was ended."""
        return self.states.get(job, State.STOPPED)

    def check(self) -> None:
        """Raise InvspecError if no job is left."""
        if self.open:
            return
        reasons: Sequence[str] = list(self.refusals.values())
        if reasons:
            raise InvspecError(f"no pilot can work for this run: {reasons[-1]}")
        words = self.jobs.last_words(self.ended[-1])
        raise InvspecError("no pilot is left: all jobs have ended" + (words and f": {words}"))

    def _retire(self, ended: set[str]) -> None:
        self.open -= ended
        self.ended += sorted(ended)
        self._missing += len(ended & self.served - set(self.refusals))

    def _replace(self) -> None:
        try:
            self.open |= set(self.jobs.submit(self._missing))
        except InvspecError:
            # the batch system may accept them later, while others work
            if not self.open:
                raise
            return
        self._missing = 0
