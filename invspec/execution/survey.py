"""Which tasks of a plan are in the store, and which must be computed."""

from __future__ import annotations

from dataclasses import dataclass, field

from invspec.execution.store import Store
from invspec.tasks import Task, needs


@dataclass
class Survey:
    """Tasks to compute, dependencies first; tasks with an intact or a damaged artifact.

    The dependencies of an intact artifact are not looked up.
    """

    to_do: dict[Task, None] = field(default_factory=dict[Task, None])
    cached: dict[Task, None] = field(default_factory=dict[Task, None])
    damaged: dict[Task, list[str]] = field(default_factory=dict[Task, list[str]])

    def visit(self, task: Task, store: Store) -> None:
        """Look for a task in the store and, if it must be computed, for all tasks that it needs."""
        if task in self.to_do or task in self.cached:
            return
        flaws = store.flaws(task)
        if flaws == []:
            self.cached[task] = None
            return
        if flaws:
            self.damaged[task] = flaws
        for need in needs(task):
            self.visit(need, store)
        self.to_do[task] = None
