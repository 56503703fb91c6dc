"""Files of corrupted images: arrays laid out as CIFAR-10-C, and photographs of frost."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from invspec import digests
from invspec.errors import InvspecError
from invspec.ops.types import Shape

# relative to INVSPEC_DATA; the released code draws from the first five of its six
FROST = tuple(f"frost/frost{name}" for name in ("1.png", "2.png", "3.png", "4.jpg", "5.jpg"))
SEVERITIES = 5
SOURCES = {
    "frost": "copy the photographs of the benchmark's code to the folder frost in INVSPEC_DATA",
    "arrays": "unpack the published archive, such as CIFAR-10-C.tar, in INVSPEC_DATA",
}


def digest(path: Path) -> str:
    """SHA-256 of a file. Raises: InvspecError with what to do if it cannot be read."""
    try:
        return digests.sha256(path)
    except OSError as problem:
        raise _missing(path, problem) from None


def stored(
    root: Path, corruption: str, severity: int, index: Tensor, y: Tensor, shape: Shape
) -> Tensor:
    """The corrupted versions (B, C, H, W) in [0, 1] of the test images with these places.

    root holds CORRUPTION.npy, uint8 (5 N, H, W, C), and labels.npy (5 N,): all N test images in
    their order at severity 1, then at severity 2, and so on. index, y: (B,) places and labels.

    Raises: InvspecError if a file is missing or has another layout, or labels differ.
    """
    path = root / f"{corruption}.npy"
    images, labels = _array(path), _array(root / "labels.npy")
    channels, height, width = shape
    if images.dtype != np.uint8 or images.shape[1:] != (height, width, channels):
        found = f"{images.dtype} {images.shape}"
        raise _odd(path, f"expected uint8 (N, {height}, {width}, {channels}), found {found}")
    count, rest = divmod(len(images), SEVERITIES)
    if rest or labels.shape != (len(images),):
        raise _odd(
            path, f"expected five severities and a label for each image, found {len(labels)}"
        )
    if len(index) and int(index.max()) >= count:
        raise _odd(path, f"has {count:,} images at each severity, found image {int(index.max())}")
    rows = index.numpy() + (severity - 1) * count
    if not np.array_equal(labels[rows], y.numpy()):
        raise _odd(path, "its labels are not those of the images under attack")
    return torch.from_numpy(images[rows]).permute(0, 3, 1, 2).float() / 255


def photograph(path: Path, share: float) -> NDArray[np.float64]:
    """A photograph (H, W, 3) in [0, 1], reduced to a share of its sides."""
    try:
        with PIL.Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError as problem:
        raise _missing(path, problem) from None
    if share < 1:
        size = (round(picture.width * share), round(picture.height * share))
        picture = picture.resize(size, PIL.Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float64) / 255


def _array(path: Path) -> NDArray[Any]:
    """A file of numpy, which stays on disk."""
    try:
        return _opened(path, digests.state_of(path))
    except OSError as problem:
        raise _missing(path, problem) from None
    except ValueError as problem:
        raise _odd(path, str(problem)) from None


@lru_cache(maxsize=40)
def _opened(path: Path, state: digests.State) -> NDArray[Any]:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _missing(path: Path, problem: OSError) -> InvspecError:
    hint = SOURCES["frost" if path.parent.name == "frost" else "arrays"]
    return InvspecError(f"{path} cannot be read: {problem.strerror or problem}", hint=hint)


def _odd(path: Path, message: str) -> InvspecError:
    hint = "use a folder laid out as CIFAR-10-C, and the test split of its data set"
    return InvspecError(f"{path}: {message}", hint=hint)
