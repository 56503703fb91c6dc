"""Reading files of weights without running code from them."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from invspec import digests
from invspec.errors import InvspecError
from invspec.files import formats, refusals


def loaded(content: bytes, path: Path) -> Any:
    """The content of a file of torch.save or safetensors, recognised by its first bytes.

    From torch.save only tensors, numbers, strings, lists and dicts are accepted.

    Raises: InvspecError that says what is wrong if the file is damaged or holds anything else.
    """
    if foreign := formats.foreign(content):
        raise _refused(path, foreign.what, foreign.hint)
    try:
        if formats.is_safetensors(content):
            return safetensors.torch.load(content)
        with warnings.catch_warnings(action="ignore"):
            return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    # Damaged bytes can raise anything, depending on the step that meets them.
    except Exception as problem:
        raise _refused(path, *refusals.explained(content, problem)) from None


def _refused(path: Path, reason: str, hint: str) -> InvspecError:
    return InvspecError(f"{path} cannot be loaded as weights: {reason}", hint=hint)


def content_of(path: Path, hint: str = "") -> bytes:
    """The bytes of a file. Raises InvspecError with the hint if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise _unreadable(path, problem, hint) from None


def _unreadable(path: Path, problem: OSError, hint: str) -> InvspecError:
    """The error for a file that cannot be read; a dangling link of git-annex is named."""
    if path.is_symlink() and "annex/objects/" in path.readlink().as_posix():
        foreign = formats.annexed()
        return InvspecError(f"{path} cannot be read: {foreign.what}", hint=foreign.hint)
    if path.is_dir():
        hint = "name the file of weights, not its folder"
    return InvspecError(f"{path} cannot be read: {problem.strerror}", hint=hint)


def checked(path: Path, sha256: str, hint: str = "") -> bytes:
    """The bytes of a file whose SHA-256 begins with these hexadecimal digits.

    Raises: InvspecError if it cannot be read or has a different digest. Without a hint, the error
    says how to set the fields file and sha256.
    """
    content = content_of(path, hint or "file is absolute or relative to INVSPEC_DATA")
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(sha256):
        # the digest of a page or a pointer that was saved in place of the file is no way out
        if foreign := formats.failed_download(content):
            message = f"{path} is not the file expected: {foreign.what}"
            raise InvspecError(message, hint=hint or foreign.hint)
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
        raise _unreadable(path, problem, "") from None
