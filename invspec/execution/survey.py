"""Which tasks of a plan are in the store, and which must be computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from invspec.execution.provenance import Record
from invspec.execution.store import Store
from invspec.tasks import Task, key, needs, verb


@dataclass
class Survey:
    """Tasks to compute, dependencies first; tasks with an intact or a damaged artifact.

    outdated are intact artifacts made from another result of an input than the store has; they are
    to be computed, too. unsure are intact ones with an input to compute: whether they are outdated
    is known after that. Files of the dependencies of an intact artifact are not compared with their
    digests, unless something is to be computed from them.
    """

    store: Store
    to_do: dict[Task, None] = field(default_factory=dict[Task, None])
    cached: dict[Task, None] = field(default_factory=dict[Task, None])
    damaged: dict[Task, list[str]] = field(default_factory=dict[Task, list[str]])
    outdated: dict[Task, str] = field(default_factory=dict[Task, str])
    unsure: dict[Task, None] = field(default_factory=dict[Task, None])
    # what made.json says, and the finished tasks below intact ones, dependencies first
    _records: dict[Task, Record | None] = field(default_factory=dict[Task, Record | None])
    _below: dict[Task, None] = field(default_factory=dict[Task, None])

    def visit(self, task: Task) -> None:
        """Look for a task in the store and, if it must be computed, for all tasks that it needs."""
        if task in self.to_do or task in self.cached:
            return
        flaws = self.store.flaws(task)
        if flaws == []:
            if not self._is_outdated(task):
                self.cached[task] = None
                self._look_below(task)
                return
        elif flaws:
            self.damaged[task] = flaws
        for need in needs(task):
            self.visit(need)
        self.to_do[task] = None

    def settle(self) -> None:
        """Find the unsure tasks. To be called once all goals are visited."""
        before = -1
        # an unsure task may need one that nothing else needed
        while self.to_do and before != (before := len(self.to_do) + len(self.unsure)):
            for task in (*self._below, *self.cached):
                if task not in self.to_do and task not in self.unsure:
                    self._settle(task)

    def is_current(self, task: Task) -> bool:
        """Whether the artifact of a visited task is still the one that was looked at."""
        return self.store.record(task) == self._record(task)

    def _settle(self, task: Task) -> None:
        if not any(need in self.to_do or need in self.unsure for need in needs(task)):
            return
        self.visit(task)
        if task not in self.to_do:
            for need in needs(task):
                self.visit(need)
            self.unsure[task] = None

    def _look_below(self, task: Task) -> None:
        """Look for outdated artifacts among the dependencies of an intact one."""
        for need in needs(task):
            if need in self._below or need in self.to_do or need in self.cached:
                continue
            if self._record(need) is None:
                # deleted, and not needed unless something is computed from it
                continue
            self._below[need] = None
            if self._is_outdated(need):
                self.visit(need)
            else:
                self._look_below(need)

    def _is_outdated(self, task: Task) -> bool:
        if problem := change(task, self._record):
            self.outdated[task] = problem
        return bool(problem)

    def _record(self, task: Task) -> Record | None:
        if task not in self._records:
            self._records[task] = self.store.record(task)
        return self._records[task]


def change(task: Task, record_of: Callable[[Task], Record | None]) -> str:
    """Which input of an artifact has changed since it was made, empty if none has.

    Inputs of older artifacts are unknown, and inputs that were deleted cannot be compared.
    """
    record = record_of(task)
    if record is None or not record.inputs:
        return ""
    for need in needs(task):
        made_from, current = record.inputs.get(key(need)), record_of(need)
        if made_from is not None and current is not None and current.digest != made_from:
            digests = f"SHA-256 is {current.digest[:12]}…, it was made from {made_from[:12]}…"
            return f"its input {verb(need)} {key(need)[:12]} has changed: {digests}"
    return ""
