"""A store as one report sees it."""

from __future__ import annotations

from typing import Any

from invspec.analysis.readings import Artifacts
from invspec.perform.runtime import Artifact
from invspec.tasks import Task

# facts that a report does not use, and that need much memory
LARGE = ("sha256", "inputs")


class Snapshot:
    """Looks for each task once, and reads its facts once, so that all parts of a report agree.

    Artifacts are not kept: they may be larger than memory.
    """

    def __init__(self, store: Artifacts) -> None:
        self._store = store
        self._exist: dict[Task, bool] = {}
        self._made: dict[Task, dict[str, Any]] = {}

    def __contains__(self, task: Task) -> bool:
        if task not in self._exist:
            self._exist[task] = task in self._store
        return self._exist[task]

    def load(self, task: Task) -> Artifact:
        """The artifact of a finished task."""
        return self._store.load(task)

    def made(self, task: Task) -> dict[str, Any]:
        """Facts about a finished task, without digests."""
        if task not in self._made:
            facts = self._store.made(task)
            self._made[task] = {name: facts[name] for name in facts if name not in LARGE}
        return self._made[task]
