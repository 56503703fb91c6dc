"""Weights in files, none of which can run code."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from invspec.errors import InvspecError, first_line


def loaded(content: bytes, path: Path) -> Any:
    """What a file holds, by its name: .safetensors, as trainings leave it in a store, or what torch.save wrote.

    Of the latter, only what is made of tensors, numbers, texts, lists and dicts.

    Raises: InvspecError where it is damaged or holds more than that.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(content)
        return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (
        Exception
    ) as problem:  # of damaged bytes, whatever the step raises that stumbles over them
        raise InvspecError(
            f"{path} holds no weights that can be loaded: {first_line(problem)}",
            hint="expected a state dict, not a whole net, as torch.save wrote it, or safetensors to a .safetensors",
        ) from None


def content_of(path: Path, hint: str = "") -> bytes:
    """A file's bytes. Raises InvspecError with the hint where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InvspecError(f"{path} cannot be read: {problem.strerror}", hint=hint) from None


def checked(path: Path, sha256: str, hint: str = "") -> bytes:
    """A file's bytes, whose SHA-256 begins with these hexadecimal digits.

    Raises: InvspecError where it cannot be read or is another file, with the hint, or with what to do about fields file
    and sha256.
    """
    content = content_of(path, hint or "file is relative to the folder INVSPEC_DATA, or absolute")
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(sha256):
        raise InvspecError(
            f"{path} is another file: found SHA-256 {found}, expected {sha256}",
            hint=hint or f"if this is the file you mean, write sha256: {found}",
        )
    return content


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits; read again when its time or size has changed.

    Raises: InvspecError where it cannot be read.
    """
    try:
        state = path.stat()
    except OSError as problem:
        raise InvspecError(f"{path} cannot be read: {problem.strerror}") from None
    return _sha256(path, state.st_mtime_ns, state.st_size)


@lru_cache
def _sha256(path: Path, time: int, size: int) -> str:
    return hashlib.sha256(content_of(path)).hexdigest()
