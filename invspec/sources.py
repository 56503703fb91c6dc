"""Folders of users' own methods, and the digest of their code. Does not import torch."""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from pathlib import Path

# Digests of the registered folders, in order of registration.
_digests: dict[Path, str] = {}
_generation = [0]


def add(folder: Path) -> None:
    """Register a folder of methods, before its import, with the current digest of its code."""
    _digests[folder] = digest_of(folder)
    _renew()


def remove(folder: Path) -> None:
    """Undo the registration of a folder."""
    _digests.pop(folder, None)
    _renew()


def _renew() -> None:
    _generation[0] += 1
    source_of.cache_clear()


def generation() -> int:
    """Number of changes to the folders; cached identities of methods are valid until the next."""
    return _generation[0]


def digest_of(folder: Path) -> str:
    """SHA-256 of the names and contents of all Python files below a folder, 64 hex digits."""
    sha256 = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        sha256.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return sha256.hexdigest()


@cache
def source_of(cls: type) -> dict[str, str]:
    """Module and digest of a class's code; empty for classes of invspec, which have versions.

    The digest covers all Python files in the registered folder around the class; without a
    registered folder, it covers the class's own file.
    """
    if cls.__module__.split(".")[0] == "invspec":
        return {}
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        # defined in an interpreter, so there is no file
        return {"module": cls.__module__}
    for folder, digest in _digests.items():
        if folder in file.parents:
            return {"module": cls.__module__, "source": digest}
    return {"module": cls.__module__, "source": hashlib.sha256(file.read_bytes()).hexdigest()}
