"""torchvision's published weights: found on this machine, or downloaded.

Places are searched in this order:

1. INVSPEC_DATA/weights/<our name>.pth or .safetensors, for nets that we use in part and that
   users may store under our name;
2. INVSPEC_DATA/weights/<torchvision's name>;
3. the cache of torch.hub, under torchvision's name;
4. torchvision's server, from which they are downloaded to that cache.

torchvision's names end in the first digits of the file's SHA-256, which are checked at every read.
A file under our name has no such digits: its user must check the weights.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from invspec.errors import InvspecError
from invspec.files import folder
from invspec.files.weights import checked, content_of, loaded

# at least eight, as torch.hub itself requires
DIGITS = re.compile(r"-([0-9a-f]{8,})\.pth$")

FETCH_AGAIN = "delete it, so that it is downloaded again"

# torch.save's first, because it is the format of the published files
SUFFIXES = (".pth", ".safetensors")


def user_file(name: str) -> Path | None:
    """The file of that name with one of SUFFIXES in INVSPEC_DATA/weights, or None."""
    return _first_file(*(_in_data(f"{name}{suffix}") for suffix in SUFFIXES))


def published_weights(url: str, our_name: str = "") -> tuple[Any, Path]:
    """The content of a published file, read without running code, and its local path.

    our_name, without suffix, is another name under which users may store the file.

    Raises: InvspecError if the file cannot be downloaded or read, or if its digest differs.
    """
    if our_name and (own := user_file(our_name)):
        return loaded(content_of(own), own), own
    path = _located(url, our_name)
    content = checked(path, _digits(path.name), hint=FETCH_AGAIN)
    return loaded(content, path), path


def local_file(url: str) -> tuple[Path, str] | None:
    """The local file of a URL and the first digits of its SHA-256; None before its download."""
    name = url.rpartition("/")[2]
    path = _first_file(_in_data(name), _cached(name))
    return None if path is None else (path, _digits(name))


def _cached(name: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def _located(url: str, our_name: str) -> Path:
    """The local file of a URL under torchvision's name, downloaded if necessary."""
    name = url.rpartition("/")[2]
    cached = _cached(name)
    return _first_file(_in_data(name), cached) or _downloaded(url, cached, our_name)


def _downloaded(url: str, path: Path, our_name: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(path), hash_prefix=_digits(path.name), progress=False
        )
    # OSError: no network or no space; RuntimeError: the digest is not that in the name
    except (OSError, RuntimeError) as problem:
        renamed = f", as it is or as {our_name}.pth" if our_name else ""
        raise InvspecError(
            f"{path.name} is not on this machine and cannot be downloaded: {problem}",
            hint=f"download {url} to the folder weights in INVSPEC_DATA{renamed}",
        ) from None
    return path


def _digits(name: str) -> str:
    """The first digits of the SHA-256 of a file, from its name in torchvision."""
    digits = DIGITS.search(name)
    assert digits is not None, f"torchvision's file {name} does not end in digits of its SHA-256"
    return digits[1]


def _in_data(name: str) -> Path | None:
    data = folder.given()
    return data / "weights" / name if data else None


def _first_file(*paths: Path | None) -> Path | None:
    """The first path that is a file, or None."""
    return next((path for path in paths if path and path.is_file()), None)
