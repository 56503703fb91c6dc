"""The store of artifacts: one folder for each finished task, <root>/<verb>/<key[:2]>/<key>/.

A folder is written under a temporary name, flushed to disk and renamed, so a folder that exists
belongs to a task that finished. Two processes may finish the same task at once. Payloads are
safetensors and JSON, so loading them cannot run code.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from invspec.data import Curves
from invspec.errors import InvspecError
from invspec.execution import disk, findings, leases, provenance, rows
from invspec.execution.checkpoints import Checkpoints
from invspec.execution.leases import Lease
from invspec.execution.provenance import Record
from invspec.execution.tensors import StoredTensors
from invspec.perform.runtime import Artifact
from invspec.tasks import Task, canonical, key, verb

VERBS = ("train", "perturb", "score", "examine")
# the file that holds the result, in a folder of each verb
PAYLOAD = {
    "train": "model.safetensors",
    "perturb": "examples.safetensors",
    "score": "tensors.safetensors",
    "examine": "finding.json",
}


@dataclass(frozen=True)
class Store:
    """The artifacts of finished tasks. Methods that write raise Unwritable on a full disk."""

    root: Path

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints of unfinished trainings."""
        return Checkpoints(self.root)

    def prepare(self) -> None:
        """Create the folder if needed, and sweep it. Raises Unwritable if it cannot be created."""
        with disk.writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        self.sweep()

    def folder(self, task: Task) -> Path:
        """The folder of a task's artifact, whether or not it exists."""
        return self.at(verb(task), key(task))

    def at(self, kind: str, digest: str) -> Path:
        """The folder of a verb and a key."""
        return _folder(self.root, kind, digest)

    def __contains__(self, task: Task) -> bool:
        # not by `folder`, which is slow for the many tasks that a store does not have
        digest = key(task)
        return os.path.isdir(f"{self.root}/{verb(task)}/{digest[:2]}/{digest}")

    def refresh(self, task: Task) -> None:
        """See what other machines did to a task's artifact, even on a network file system."""
        folders = f"{self.root}/{verb(task)}"
        disk.look_again(f"{folders}/{key(task)[:2]}", folders)

    def wait_for(self, task: Task, seconds: float) -> None:
        """Wait for the artifact of a task that another machine finished.

        Raises: InvspecError if it does not appear within some seconds.
        """

        def seen() -> bool:
            if task not in self:
                self.refresh(task)
            return task in self

        if not disk.appears(seen, seconds):
            raise InvspecError(
                f"{self.folder(task)} of a finished task has not appeared within {seconds:.0f} s",
                hint="expected --store to be the same folder on all machines of the run",
            )

    def load(self, task: Task) -> Artifact:
        """The artifact of a finished task. Raises InvspecError if its files cannot be read."""
        folder = self.folder(task)
        try:
            payload = folder / PAYLOAD[verb(task)]
            if verb(task) == "examine":
                return Artifact(finding=findings.read(payload))
            if verb(task) == "score":
                tensors = StoredTensors(payload, hidden=rows.ROW)
                return Artifact(tensors, rows.read(folder / "rows.json", tensors.read))
            curves = _curves(folder / "curves.json") if verb(task) == "train" else None
            return Artifact(StoredTensors(payload), curves=curves)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            SafetensorError,
        ) as problem:
            raise _damaged(folder, problem) from None

    def save(self, task: Task, artifact: Artifact, **facts: Any) -> None:
        """Store an artifact, unless another process was first. facts go into made.json."""
        with disk.writing(self.root):
            partial = disk.temporary(self.root, key(task))
            partial.mkdir()
            try:
                self._write(partial, task, artifact, facts)
                disk.publish(partial, self.folder(task))
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def _write(self, folder: Path, task: Task, artifact: Artifact, facts: dict[str, Any]) -> None:
        payload = folder / PAYLOAD[verb(task)]
        bodies, outcomes = rows.written(artifact.rows or ())
        if artifact.finding is not None:
            findings.write(payload, artifact.finding)
        else:
            save_file({**artifact.tensors, **outcomes}, payload)
        if artifact.rows is not None:
            (folder / "rows.json").write_text(
                json.dumps(bodies, indent=1, allow_nan=False) + "\n", encoding="utf-8"
            )
        if artifact.curves is not None:
            curves = {name: list(numbers) for name, numbers in artifact.curves.items()}
            (folder / "curves.json").write_text(
                json.dumps(curves, allow_nan=False) + "\n", encoding="utf-8"
            )
        (folder / "task.json").write_text(canonical(task), encoding="utf-8")
        provenance.write(folder, facts)
        disk.flush_all(folder.iterdir())

    def made(self, task: Task) -> dict[str, Any]:
        """How an artifact was made: seconds, device, versions... Raises InvspecError like load."""
        folder = self.folder(task)
        try:
            return provenance.read(folder)
        except (OSError, ValueError) as problem:
            raise _damaged(folder, problem) from None

    def digest(self, task: Task) -> str | None:
        """The digest of an artifact's result, None if there is no readable artifact."""
        record = self.record(task)
        return None if record is None else record.digest

    def record(self, task: Task) -> Record | None:
        """What an artifact was made from, None if there is no readable artifact."""
        try:
            return provenance.record(self.folder(task), PAYLOAD[verb(task)])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def flaws(self, task: Task) -> list[str] | None:
        """What is wrong with a task's artifact: [] if it is intact, None if it does not exist."""
        folder = self.folder(task)
        return provenance.flaws(folder) if folder.is_dir() else None

    def move_aside(self, folder: Path, reason: str = "damaged") -> Path:
        """Move a folder that is damaged or outdated to <root>/<reason>. Returns its new path."""
        target = self.root / reason / f"{folder.name}-{uuid.uuid4().hex[:8]}"
        with disk.writing(self.root):
            target.parent.mkdir(parents=True, exist_ok=True)
            # another process may have moved it first
            with suppress(FileNotFoundError):
                folder.rename(target)
        return target

    def folders(self) -> Iterator[tuple[str, Path]]:
        """The verb and folder of every finished task."""
        for kind in VERBS:
            for folder in self.finished(kind):
                yield kind, folder

    def finished(self, kind: str) -> Iterator[Path]:
        """The folders of the finished tasks of a verb, by key; listed as they are asked for."""
        for shard in sorted((self.root / kind).glob("??/")):
            yield from sorted(shard.glob("*/"))

    def leases(self) -> list[Lease]:
        """The claims of runs, alive or not."""
        return list(leases.leases(self.root))

    def _is_finished(self, digest: str) -> bool:
        return any(self.at(kind, digest).is_dir() for kind in VERBS)

    def sweep(self, older_than: float = 3600.0) -> None:
        """Delete what killed processes left: checkpoints of finished trainings, partial artifacts.

        Partial artifacts younger than older_than seconds stay, and those of claimed tasks: another
        process may be writing them. Older claims of finished tasks are deleted, too.
        """
        leases.sweep(self.root, older_than, self._is_finished)
        disk.delete_abandoned(self.root, older_than, {lease.key for lease in self.leases()})
        for checkpoint in self.checkpoints.paths():
            if self.at("train", checkpoint.stem).is_dir():
                # the store may be read-only
                with suppress(OSError):
                    checkpoint.unlink()


# asked for several times while a task is begun and ended, and slow to build
@lru_cache(maxsize=1_000)
def _folder(root: Path, kind: str, digest: str) -> Path:
    return Path(f"{root}/{kind}/{digest[:2]}/{digest}")


def _damaged(folder: Path, problem: Exception) -> InvspecError:
    return InvspecError(
        f"{folder} is damaged: {problem}",
        hint="`invspec store verify` moves it aside; then run again",
    )


def _curves(path: Path) -> Curves:
    """The curves of a training. Raises ValueError and the like if the file holds none."""
    curves: dict[str, list[float]] = json.loads(path.read_text(encoding="utf-8"))
    return {str(name): list(map(float, numbers)) for name, numbers in curves.items()}


def unneeded(store: Store, needed: Iterable[Task]) -> list[Path]:
    """Folders of finished tasks that are not among the needed ones, and that no run works with."""
    needed_folders = {store.folder(task) for task in needed}
    claims = store.leases()
    in_use = {name for lease in claims for name in (lease.key, *lease.needs)}
    return [
        folder
        for _, folder in store.folders()
        if folder not in needed_folders and folder.name not in in_use
    ]
