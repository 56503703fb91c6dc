"""Reading files of weights without running code from them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from invspec import digests
from invspec.errors import InvspecError, first_line


def loaded(content: bytes, path: Path) -> Any:
    """The content of a .safetensors file, or of a file from torch.save with any other suffix.

    From torch.save only tensors, numbers, strings, lists and dicts are accepted.

    Raises: InvspecError if the file is damaged or holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(content)
        return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    # Damaged bytes can raise anything, depending on the step that meets them.
    except Exception as problem:
        raise InvspecError(
            f"{path} cannot be loaded as weights: {first_line(problem)}",
            hint="expected a state dict, not a whole net: from torch.save, or a .safetensors file",
        ) from None


def content_of(path: Path, hint: str = "") -> bytes:
    """The bytes of a file. Raises InvspecError with the hint if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InvspecError(f"{path} cannot be read: {problem.strerror}", hint=hint) from None


def checked(path: Path, sha256: str, hint: str = "") -> bytes:
    """The bytes of a file whose SHA-256 begins with these hexadecimal digits.

    Raises: InvspecError if it cannot be read or has a different digest. Without a hint, the error
    says how to set the fields file and sha256.
    """
    content = content_of(path, hint or "file is absolute or relative to INVSPEC_DATA")
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(sha256):
        raise InvspecError(
            f"{path} has other content: found SHA-256 {digest}, expected {sha256}",
            hint=hint or f"if this is the file you mean, write sha256: {digest}",
        )
    return content


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits; read again only if the file has changed.

    Raises: InvspecError if it cannot be read.
    """
    try:
        return digests.sha256(path)
    except OSError as problem:
        raise InvspecError(f"{path} cannot be read: {problem.strerror}") from None
