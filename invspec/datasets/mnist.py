"""MNIST, from files at hand or by download."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from invspec.data import Shape, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Dataset, SplitName

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
MD5 = {
    f"train-{IMAGES}": "6bbc9ace898e44ae57da46a324031adb",
    f"train-{LABELS}": "a25bea736e30d166cdddb491f175f624",
    f"t10k-{IMAGES}": "2646ac647ad5339dbf082846283269ea",
    f"t10k-{LABELS}": "27ae3e4e09519cfbb04c329615203637",
}
PARTS: dict[SplitName, tuple[str, slice]] = {
    "train": ("train", slice(0, 55_000)),
    "val": ("train", slice(55_000, 60_000)),
    "test": ("t10k", slice(0, 10_000)),
}


class MNIST(Dataset):
    """Handwritten digits, 28 x 28: the first 55,000 training images, the last 5,000 as val, the 10,000 test images.

    Reads the four extracted files in $INVSPEC_DATA/MNIST/raw; without INVSPEC_DATA they are downloaded, once, to
    ~/.cache/invspec. Their MD5 sums are checked whenever they are read.

    Raises: InvspecError where a file is missing or damaged, or the download fails.
    """

    @property
    def shape(self) -> Shape:
        return (1, 28, 28)

    @property
    def classes(self) -> int:
        return 10

    def count(self, split: SplitName) -> int:
        part = PARTS[split][1]
        return part.stop - part.start

    def load(self, split: SplitName) -> TensorSplit:
        source, part = PARTS[split]
        folder = _folder()
        images, labels = (_read(folder / f"{source}-{what}")[part] for what in (IMAGES, LABELS))
        return TensorSplit(torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64)))


def _folder() -> Path:
    """Where the four files are: in INVSPEC_DATA, which the user answers for, or in the cache, which we fill."""
    if given := os.environ.get("INVSPEC_DATA"):
        return Path(given) / "MNIST" / "raw"
    cache = Path.home() / ".cache" / "invspec"
    if not (cache / "MNIST").is_dir():
        _download(cache)
    return cache / "MNIST" / "raw"


def _download(cache: Path) -> None:
    """Fetch MNIST beside its place and move it there whole, so that no other process reads half a file."""
    from torchvision import datasets  # a second to import, so only where it is needed

    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as partial:
            datasets.MNIST(partial, download=True)
            if not (cache / "MNIST").is_dir():
                (Path(partial) / "MNIST").rename(cache / "MNIST")
    except (OSError, RuntimeError) as problem:
        raise InvspecError(
            f"MNIST could not be downloaded to {cache}: {problem}",
            hint="put its four extracted files in a folder MNIST/raw and let INVSPEC_DATA name the folder above it",
        ) from None


def _read(path: Path) -> NDArray[np.uint8]:
    """A file's array, after its MD5 sum was checked."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise InvspecError(
            f"{path} cannot be read: {problem.strerror}",
            hint=f"INVSPEC_DATA must name a folder with MNIST/raw/{path.name}; unset it to download MNIST",
        ) from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5[path.name]:
        raise InvspecError(
            f"{path} is damaged: found {len(content):,} bytes with MD5 {found}, expected MD5 {MD5[path.name]}",
            hint="extract the file again, or delete the folder MNIST and let it be downloaded",
        )
    return parse_idx(content)


def parse_idx(content: bytes) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes: two zeros, type 8, the number of axes, their lengths, the values."""
    assert content[:3] == b"\0\0\x08", f"not an IDX file of unsigned bytes: it starts with {content[:4].hex()}"
    axes = content[3]
    lengths = np.frombuffer(content, ">i4", count=axes, offset=4)
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * axes).reshape(lengths)
