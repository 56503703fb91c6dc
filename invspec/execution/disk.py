"""Files that survive a crash: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Container, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from invspec.errors import InvspecError


class Unwritable(InvspecError):
    """The store's disk is full or read-only, so no result can be saved."""


@contextmanager
def writing(root: Path) -> Generator[None, None, None]:
    """Turn errors of writing to the store in root into Unwritable."""
    try:
        yield
    except (OSError, SafetensorError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        message = f"cannot write to the store {root}: {reason}"
        hint = "free some disk space, or choose another folder with --store"
        raise Unwritable(message, hint=hint) from None


def temporary(root: Path, name: str) -> Path:
    """A new path in <root>/partial, on the same file system as the final one."""
    folder = root / "partial"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{uuid.uuid4().hex[:8]}"


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as problem:
        # some network file systems refuse to flush a folder; they order its names themselves
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def flush_all(paths: Iterable[Path]) -> None:
    """Flush several files at once: the disk then writes its journal once for all."""
    with ThreadPoolExecutor() as threads:
        # list() raises what a thread raised
        list(threads.map(flush, paths))


def look_again(folder: str, root: str) -> None:
    """Make a network file system ask its server for the names in a folder of a folder root.

    It remembers for up to a minute which names a folder has and lacks, unless the folder is opened.
    """
    if not _opens(folder) and _opens(root):
        # root may lack it, or only seem to
        _opens(folder)


def _opens(folder: str) -> bool:
    try:
        os.close(os.open(folder, os.O_RDONLY))
    except OSError:
        return False
    return True


def appears(seen: Callable[[], bool], seconds: float) -> bool:
    """Wait for something that another machine wrote, for some seconds at most."""
    end, pause = time.monotonic() + seconds, 0.02
    while not seen():
        if (remaining := end - time.monotonic()) <= 0:
            return False
        time.sleep(min(pause, remaining))
        pause = min(2 * pause, 1.0)
    return True


def publish(partial: Path, final: Path) -> None:
    """Rename a finished folder. If another process published its equal copy first, keep that."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    flush(final.parent)


def delete_abandoned(root: Path, older_than: float, spared: Container[str] = ()) -> None:
    """Delete temporary files unchanged for older_than seconds: their process was killed.

    Those whose name, as given to `temporary`, is in spared stay.
    """
    for partial in (root / "partial").glob("*"):
        if partial.name.rpartition("-")[0] not in spared:
            delete_if_older(partial, older_than)


def delete_if_older(path: Path, seconds: float) -> None:
    """Delete a file or folder that was unchanged for some seconds, if it can be deleted."""
    # another process may finish or delete it meanwhile, and the store may be read-only
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > seconds:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
