"""Folders of data files, and reading files with a check of their MD5 sum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from invspec.errors import InvspecError


def given() -> Path | None:
    """The folder that INVSPEC_DATA names, or None. It is the user's: nothing is written to it."""
    path = os.environ.get("INVSPEC_DATA")
    return Path(path) if path else None


def cache() -> Path:
    """The folder for our own downloads."""
    return Path.home() / ".cache" / "invspec"


def located(name: str) -> Path:
    """The path of a file or folder that is absolute or relative to INVSPEC_DATA.

    Raises: InvspecError if it is relative and INVSPEC_DATA is not set.
    """
    folder = given()
    if folder is None and not Path(name).is_absolute():
        raise InvspecError(
            f"{name} is relative to INVSPEC_DATA, which is not set",
            hint=f"set INVSPEC_DATA to the folder that has {name}, or give an absolute path",
        )
    return (folder or Path()) / name


def read(path: Path, md5: str, *, missing: str, damaged: str) -> bytes:
    """The content of a file with the given MD5 sum.

    Raises: InvspecError, with the hint `missing` if the file cannot be read and `damaged` if its
    sum differs.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise InvspecError(f"{path} cannot be read: {problem.strerror}", hint=missing) from None
    # MD5, because that is the sum that torchvision lists
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise InvspecError(
            f"{path} is damaged: found {len(content):,} bytes with MD5 {actual}, "
            f"expected MD5 {md5}",
            hint=damaged,
        )
    return content
