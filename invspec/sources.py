"""Folders of users' own methods, and the digest of their code. Does not import torch."""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from pathlib import Path

# of each folder that was added, in order of adding
_digests: dict[Path, str] = {}
_generation = [0]


def add(folder: Path) -> None:
    """Remember a folder of methods, with the digest that its code has now, before any of it is imported."""
    _digests[folder] = digest_of(folder)
    _renew()


def remove(folder: Path) -> None:
    """Forget a folder."""
    _digests.pop(folder, None)
    _renew()


def _renew() -> None:
    _generation[0] += 1
    source_of.cache_clear()


def generation() -> int:
    """A number that changes with the folders: cached identities of methods hold for one generation."""
    return _generation[0]


def digest_of(folder: Path) -> str:
    """SHA-256 over names and contents of all Python files below a folder, 64 hexadecimal digits."""
    sha256 = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        sha256.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return sha256.hexdigest()


@cache
def source_of(cls: type) -> dict[str, str]:
    """Module and digest of the code behind a class: nothing for classes of invspec, which have versions instead.

    The digest is that of all Python files of the folder that was added; of a class from elsewhere, that of its file.
    """
    if cls.__module__.split(".")[0] == "invspec":
        return {}
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):  # defined in an interpreter
        return {"module": cls.__module__}
    for folder, digest in _digests.items():
        if folder in file.parents:
            return {"module": cls.__module__, "source": digest}
    return {"module": cls.__module__, "source": hashlib.sha256(file.read_bytes()).hexdigest()}
