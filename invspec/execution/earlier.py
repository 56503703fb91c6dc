"""Results that another version of the code stored under other keys, found by what they are of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from invspec.execution.rebuild import Rebuilder, Unknown
from invspec.execution.store import Store
from invspec.tasks import Task


@dataclass(frozen=True)
class AnyVersion(Store):
    """A store in which a task that it lacks is looked for among those of other versions.

    A task is found if it has the same methods with the same fields. For reading only: what a run
    may use again is what has its key.
    """

    @cached_property
    def others(self) -> dict[Task, Path]:
        """The folders of the tasks whose keys are other ones here."""
        return dict(self._others())

    def _others(self) -> Iterator[tuple[Task, Path]]:
        rebuilder = Rebuilder(self, any_version=True)
        for kind, folder in self.folders():
            try:
                task = rebuilder.task(kind, folder.name)
            except Unknown:
                continue
            if super().folder(task) != folder:
                yield task, folder

    def folder(self, task: Task) -> Path:
        """The folder of a task's artifact under its key or, if there is none, under another."""
        own = super().folder(task)
        return own if own.is_dir() else self.others.get(task, own)

    def __contains__(self, task: Task) -> bool:
        return super().__contains__(task) or task in self.others
