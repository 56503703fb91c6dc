"""What has been computed: store/<verb>/<key[:2]>/<key>/, one folder for each finished task.

A folder is written under a temporary name, flushed, and renamed: a folder that exists is a task that finished. Two
processes that finish the same task at once do no harm. Payloads are safetensors and JSON, so nothing that is loaded
can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from invspec import __version__
from invspec.data import Curves, Row
from invspec.errors import InvspecError
from invspec.perform.runtime import Artifact
from invspec.tasks import Task, canonical, key, verb

VERBS = ("train", "perturb", "score")


PAYLOAD = {
    "train": "model.safetensors",
    "perturb": "examples.safetensors",
    "score": "tensors.safetensors",
}


class Unwritable(InvspecError):
    """The store's disk is full or read-only: nothing that is computed could be kept."""


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="pt") as file:
            self._names = tuple(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            return file.get_tensor(name)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; the others are not read."""
        with safe_open(self.path, framework="pt") as file:
            return file.get_slice(name)[start:stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Store:
    """Finished tasks under one folder. Writing raises Unwritable where the disk is full or read-only."""

    root: Path

    def prepare(self) -> None:
        """Make the folder where there is none, and tidy it: what cannot be written is known before work begins."""
        with _writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        self.sweep()

    def folder(self, task: Task) -> Path:
        """Where a task's artifact is, or will be."""
        return self._at(verb(task), key(task))

    def _at(self, kind: str, digest: str) -> Path:
        return self.root / kind / digest[:2] / digest

    def __contains__(self, task: Task) -> bool:
        return self.folder(task).is_dir()

    def load(self, task: Task) -> Artifact:
        """What a finished task left. Raises InvspecError where its files cannot be read."""
        folder = self.folder(task)
        try:
            rows = _rows(folder / "rows.json") if verb(task) == "score" else None
            curves = _curves(folder / "curves.json") if verb(task) == "train" else None
            return Artifact(StoredTensors(folder / PAYLOAD[verb(task)]), rows, curves)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            SafetensorError,
        ) as problem:
            raise _damaged(folder, problem) from None

    def save(self, task: Task, artifact: Artifact, **made: Any) -> None:
        """Keep an artifact; made says how it came about."""
        with _writing(self.root):
            partial = self._partial(task)
            partial.mkdir()
            try:
                self._write(partial, task, artifact, made)
                _publish(partial, self.folder(task))
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def _partial(self, task: Task) -> Path:
        """A name of our own for what is being written."""
        folder = self.root / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key(task)}-{uuid.uuid4().hex[:8]}"

    def _write(self, folder: Path, task: Task, artifact: Artifact, made: dict[str, Any]) -> None:
        save_file(dict(artifact.tensors), folder / PAYLOAD[verb(task)])
        if artifact.rows is not None:
            rows = [asdict(row) for row in artifact.rows]
            (folder / "rows.json").write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n")
        if artifact.curves is not None:
            curves = {name: list(numbers) for name, numbers in artifact.curves.items()}
            (folder / "curves.json").write_text(json.dumps(curves, allow_nan=False) + "\n")
        (folder / "task.json").write_text(canonical(task))
        digests = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
        (folder / "made.json").write_text(
            json.dumps({**made, **versions(), "sha256": digests}, indent=1) + "\n"
        )
        for path in folder.iterdir():
            _flush(path)

    def made(self, task: Task) -> dict[str, Any]:
        """How a finished task came about: seconds, device, versions, commit, when. Raises InvspecError like load."""
        folder = self.folder(task)
        try:
            return _made(folder)
        except (OSError, ValueError) as problem:
            raise _damaged(folder, problem) from None

    def flaws(self, task: Task) -> list[str] | None:
        """What is wrong with a task's artifact: nothing ([]) if it is whole, None if there is none."""
        folder = self.folder(task)
        return flaws(folder) if folder.is_dir() else None

    def set_aside(self, folder: Path) -> Path:
        """Move a damaged folder out of the way, without deleting it."""
        aside = self.root / "damaged" / f"{folder.name}-{uuid.uuid4().hex[:8]}"
        with _writing(self.root):
            aside.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process was first
                folder.rename(aside)
        return aside

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Every finished task's verb and folder."""
        for kind in VERBS:
            for folder in sorted((self.root / kind).glob("??/*/")):
                yield kind, folder

    # ─ checkpoints: a training that is not finished ─

    def checkpoint(self, task: Task) -> Path:
        """Where an unfinished training keeps its last epoch."""
        return self.root / "checkpoints" / f"{key(task)}.pt"

    def keep_checkpoint(self, task: Task, state: dict[str, Any]) -> None:
        """Replace the checkpoint of a training."""
        path = self.checkpoint(task)
        with _writing(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._partial(task)
            try:
                torch.save(state, partial)
                _flush(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def read_checkpoint(self, task: Task) -> dict[str, Any] | None:
        """The checkpoint of a training, or None where there is none that can be read."""
        path = self.checkpoint(task)
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except FileNotFoundError:
            return None
        except (
            Exception
        ):  # a torn or foreign file, in any of torch's many ways: the training starts afresh
            path.unlink(missing_ok=True)
            return None

    def drop_checkpoint(self, task: Task) -> None:
        """Forget the checkpoint of a training that has finished."""
        self.checkpoint(task).unlink(missing_ok=True)

    def sweep(self, older_than: float = 3600.0) -> None:
        """Remove what killed processes left: checkpoints of finished trainings, and half-written work.

        The latter only when it is older than some seconds, so that it is surely nobody's.
        """
        for partial in (self.root / "partial").glob("*"):
            with suppress(
                OSError
            ):  # another process tidies up too, or finishes its work; or the store is read-only
                if time.time() - partial.stat().st_mtime > older_than:
                    shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
        for checkpoint in (self.root / "checkpoints").glob("*.pt"):
            if self._at("train", checkpoint.stem).is_dir():
                with suppress(OSError):
                    checkpoint.unlink()

    # ─ the last run ─

    def remember(self, call: dict[str, Any]) -> None:
        """Keep how the last run was called."""
        with _writing(self.root):
            (self.root / "last.json").write_text(json.dumps(call, indent=1))

    def recall(self) -> Any:
        """What was remembered, or None where nothing can be read."""
        try:
            return json.loads((self.root / "last.json").read_text())
        except (OSError, ValueError):
            return None


def _damaged(folder: Path, problem: Exception) -> InvspecError:
    return InvspecError(f"{folder} is damaged: {problem}", hint="run again: it is recomputed")


def _rows(path: Path) -> tuple[Row, ...]:
    return tuple(Row(**row) for row in json.loads(path.read_text()))


def _curves(path: Path) -> Curves:
    """A training's curves; raises ValueError and the like where the file holds none."""
    return {
        str(name): [float(number) for number in numbers]
        for name, numbers in json.loads(path.read_text()).items()
    }


def _made(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "made.json").read_text())


def flaws(folder: Path) -> list[str]:
    """What is wrong with a finished task's folder: files that are missing or are not what was written."""
    try:
        digests: dict[str, str] = _made(folder)["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return [f"made.json: {type(problem).__name__}"]
    found: list[str] = []
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name}: missing")
        elif (now := _sha256(path)) != digest:
            found.append(f"{name}: SHA-256 is {now[:12]}…, was {digest[:12]}…")
    return found


def unneeded(store: Store, wanted: Iterable[Task]) -> list[Path]:
    """The finished tasks that none of the wanted ones is."""
    kept = {store.folder(task) for task in wanted}
    return [folder for _, folder in store.folders() if folder not in kept]


@cache
def versions() -> dict[str, str]:
    """What the numbers were made with."""
    return {"invspec": __version__, "commit": _commit(), "torch": str(torch.__version__)}


def _commit() -> str:
    """The commit of the checkout that invspec runs from, or none."""
    git = Path(__file__).parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        if (git / head[5:]).is_file():
            return (git / head[5:]).read_text().strip()
        packed = (line.split() for line in (git / "packed-refs").read_text().splitlines())
        return next((words[0] for words in packed if words[1:] == [head[5:]]), "none")
    except OSError:
        return "none"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _publish(partial: Path, final: Path) -> None:
    """Rename, unless another process was first: then its artifact, equal to ours, stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing(root: Path) -> Generator[None, None, None]:
    """A full disk, a read-only folder: one message instead of a traceback."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as problem:
        # how torch.save reports a full disk, depending on where in the file it happens
        if isinstance(problem, RuntimeError) and not any(
            sign in str(problem) for sign in ("write", "unexpected pos")
        ):
            raise
        reason = (
            problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        )
        found = f"cannot write to the store {root}: {reason}"
        raise Unwritable(found, hint="free some space or choose another with --store") from None
