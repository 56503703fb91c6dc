"""The small image data sets of torchvision, from existing files or downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.nn import functional as F

from invspec.data import TensorSplit
from invspec.errors import InvspecError
from invspec.files import folder
from invspec.files.image_arrays import (
    Decoded,
    decode_cifar,
    decode_idx,
    decode_svhn,
    decode_zipped_idx,
)
from invspec.kinds import Dataset, SplitName
from invspec.ops.types import Shape


@dataclass(frozen=True)
class Source:
    """A data set as torchvision stores it below a root folder.

    train and test are the MD5 sums of its files by their path, and counts the numbers of examples
    in them. downloads are the arguments of each call of torchvision's class that fetches a part.
    """

    torchvision: str
    shape: Shape
    classes: int
    counts: tuple[int, int]
    decode: Callable[[Sequence[bytes]], Decoded]
    train: Mapping[str, str]
    test: Mapping[str, str]
    downloads: tuple[Mapping[str, str], ...] = ({},)

    @property
    def tops(self) -> list[str]:
        """The files or folders directly below the root that contain the whole data set."""
        return sorted({Path(name).parts[0] for name in (*self.train, *self.test)})


class TorchvisionImages(Dataset):
    """The published training and test images of one of torchvision's data sets.

    The last `val` training images, in the order of the files, are the validation split; with val 0
    there is none, and all of them are for training.

    Reads the files that torchvision's class stores below $INVSPEC_DATA. If INVSPEC_DATA is unset,
    they are downloaded once, to ~/.cache/invspec. Their MD5 sums are checked on every read, before
    anything in them is decoded. FashionMNIST is read from the published gzip files, because only
    their sums are known. The digit 0 of SVHN, stored as 10, is class 0.

    pad enlarges the images with zeros, for example digits of 28 x 28 to 32 x 32 for a net that
    halves them five times.

    Raises: InvspecError if a file is missing or damaged, or if the download fails.
    """

    source: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"] = Field(
        description="name of the data set"
    )
    val: int = Field(
        ge=0, description="number of training images, from the last, used for validation"
    )
    pad: int = Field(default=0, ge=0, description="pixels of zeros to add on each side of an image")

    @model_validator(mode="after")
    def _some_left_to_train_on(self) -> Self:
        train, _ = self._source.counts
        if self.val >= train:
            raise ValueError(f"val is {self.val}, but {self.source} has {train} training images")
        return self

    @property
    def _source(self) -> Source:
        return SOURCES[self.source]

    @property
    def shape(self) -> Shape:
        channels, height, width = self._source.shape
        return (channels, height + 2 * self.pad, width + 2 * self.pad)

    @property
    def classes(self) -> int:
        return self._source.classes

    def count(self, split: SplitName) -> int:
        train, test = self._source.counts
        return {"train": train - self.val, "val": self.val, "test": test}[split]

    def load(self, split: SplitName) -> TensorSplit:
        source = self._source
        root = _root(source)
        files = source.test if split == "test" else source.train
        # all sums are checked before anything is decoded: a pickle could run code
        contents = [_read(root, name, md5, source) for name, md5 in files.items()]
        images, labels = source.decode(contents)
        first = len(images) - self.val
        parts = {"train": slice(first), "val": slice(first, None), "test": slice(None)}
        part = parts[split]
        pixels = F.pad(torch.from_numpy(images)[part], [self.pad] * 4)
        return TensorSplit(pixels, torch.from_numpy(labels.astype(np.int64))[part])


def _root(source: Source) -> Path:
    """The folder of the data set, which is downloaded if INVSPEC_DATA is unset."""
    if root := folder.given():
        return root
    cache = folder.cache()
    if not all((cache / top).exists() for top in source.tops):
        _download(cache, source)
    return cache


def _download(cache: Path, source: Source) -> None:
    """Download a data set to a temporary folder, then move it: no process reads half a file."""
    # Importing torchvision takes a second.
    from torchvision import datasets

    fetch = getattr(datasets, source.torchvision)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as partial:
            for arguments in source.downloads:
                fetch(partial, download=True, **arguments)
            for top in source.tops:
                if not (cache / top).exists():
                    (Path(partial) / top).rename(cache / top)
    except (OSError, RuntimeError) as problem:
        raise InvspecError(
            f"{source.torchvision} could not be downloaded to {cache}: {problem}",
            hint=f"put {', '.join((*source.train, *source.test))} in a folder and set INVSPEC_DATA "
            "to it",
        ) from None


def _read(root: Path, name: str, md5: str, source: Source) -> bytes:
    return folder.read(
        root / name,
        md5,
        missing=f"set INVSPEC_DATA to a folder with {name}, or unset it to download "
        f"{source.torchvision}",
        damaged=f"extract the file again, or delete {' and '.join(source.tops)} and unset "
        "INVSPEC_DATA to download it",
    )


IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
SOURCES = {
    "mnist": Source(
        torchvision="MNIST",
        shape=(1, 28, 28),
        classes=10,
        counts=(60_000, 10_000),
        decode=decode_idx,
        train={
            f"MNIST/raw/train-{IMAGES}": "6bbc9ace898e44ae57da46a324031adb",
            f"MNIST/raw/train-{LABELS}": "a25bea736e30d166cdddb491f175f624",
        },
        test={
            f"MNIST/raw/t10k-{IMAGES}": "2646ac647ad5339dbf082846283269ea",
            f"MNIST/raw/t10k-{LABELS}": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion_mnist": Source(
        torchvision="FashionMNIST",
        shape=(1, 28, 28),
        classes=10,
        counts=(60_000, 10_000),
        decode=decode_zipped_idx,
        train={
            f"FashionMNIST/raw/train-{IMAGES}.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            f"FashionMNIST/raw/train-{LABELS}.gz": "25c81989df183df01b3e8a0aad5dffbe",
        },
        test={
            f"FashionMNIST/raw/t10k-{IMAGES}.gz": "bef4ecab320f06d8554ea6380940ec79",
            f"FashionMNIST/raw/t10k-{LABELS}.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar10": Source(
        torchvision="CIFAR10",
        shape=(3, 32, 32),
        classes=10,
        counts=(50_000, 10_000),
        decode=decode_cifar,
        train={
            "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
            "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
            "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e"},
    ),
    "cifar100": Source(
        torchvision="CIFAR100",
        shape=(3, 32, 32),
        classes=100,
        counts=(50_000, 10_000),
        decode=decode_cifar,
        train={"cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    ),
    "svhn": Source(
        torchvision="SVHN",
        shape=(3, 32, 32),
        classes=10,
        counts=(73_257, 26_032),
        decode=decode_svhn,
        train={"train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373"},
        test={"test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3"},
        downloads=({"split": "train"}, {"split": "test"}),
    ),
}
