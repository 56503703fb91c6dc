"""Data files: where they are, and reading them whole and undamaged."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from invspec.errors import InvspecError


def given() -> Path | None:
    """The folder that INVSPEC_DATA names, for whose files the user answers."""
    named = os.environ.get("INVSPEC_DATA")
    return Path(named) if named else None


def located(name: str) -> Path:
    """The path of a file or folder that is absolute or starts in the folder INVSPEC_DATA.

    Raises: InvspecError where it is relative and INVSPEC_DATA is not set.
    """
    folder = given()
    if folder is None and not Path(name).is_absolute():
        raise InvspecError(
            f"{name} is relative to the folder INVSPEC_DATA, which is not set",
            hint=f"let INVSPEC_DATA name the folder that has {name}, or give an absolute path",
        )
    return (folder or Path()) / name


def cache() -> Path:
    """The folder that is ours to fill."""
    return Path.home() / ".cache" / "invspec"


def read(path: Path, md5: str, *, missing: str, damaged: str) -> bytes:
    """A file's content, whose MD5 sum is the one expected.

    Raises: InvspecError with the hint for a file that is missing or for one that is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise InvspecError(f"{path} cannot be read: {problem.strerror}", hint=missing) from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise InvspecError(
            f"{path} is damaged: found {len(content):,} bytes with MD5 {found}, expected MD5 {md5}",
            hint=damaged,
        )
    return content
