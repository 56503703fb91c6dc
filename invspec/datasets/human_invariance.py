"""Digits perturbed by a small norm until people read them differently."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from invspec.data import TensorSplit
from invspec.datasets.torchvision_images import TorchvisionImages
from invspec.files import folder
from invspec.kinds import Dataset, SplitName
from invspec.ops.types import Shape

FOLDER = "invariance-examples"
Part = Literal["l0", "linf_03", "linf_04", "linf_04_manual"]
# for training and validation, and for the original labels of the changed digits
MNIST = TorchvisionImages(source="mnist", val=5000)
COUNTS: dict[Part, int] = {"l0": 100, "linf_03": 100, "linf_04": 100, "linf_04_manual": 50}
IMAGES: dict[Part, str] = {
    "l0": "l0/automated",
    "linf_03": "linf/automated_eps03",
    "linf_04": "linf/automated_eps04",
    "linf_04_manual": "linf/manual_eps04",
}
# of the files at github.com/ftramer/Excessive-Invariance
MD5 = {
    "indexs.npy": "5197a7cb8151966ac69a71ce6d72cf81",
    "l0/automated.npy": "8b95fd67440cd9399cd79ebc5c08e288",
    "l0/automated_labels.npy": "11df9b942abd9c908c31317e5ec03ff3",
    "linf/automated_eps03.npy": "1f989935232cc036c6c2214903333530",
    "linf/automated_eps03_labels.npy": "3d8a79a5ebba3aa57c86fb7949b45ca2",
    "linf/automated_eps04.npy": "e4f848244f000567866a2f88a004aa96",
    "linf/automated_eps04_labels.npy": "8202d0de3b10220954f4d91fde3c5a2a",
    "linf/manual_eps04.npy": "7215b7e954e536fcd916640c7da94f98",
    "linf/manual_eps04_labels.npy": "39b30212b2699779be143006fd14f676",
    "linf/manual_indexs.npy": "face8ba592ff6eb88307f906ffd89cdd",
}


class HumanInvariance(Dataset):
    """MNIST for training; for testing, digits changed by Tramèr et al. and relabelled by people.

    A net that still gives a changed digit its original label, although people no longer do, is too
    invariant. The test split has 350 images in four parts: l0, 100 with few pixels changed; linf_03
    and linf_04, the same 100 digits changed by an algorithm by at most 0.3 and 0.4; linf_04_manual,
    50 changed by hand by at most 0.4. Every image has one human label, a digit. It differs from the
    original label for 55, 21, 37 and 88 % of the images of these parts.

    Pixels are the published values in 0..255, divided by 255 in float32. linf_03 contains
    half-integers, because its bound is 76.5; linf_04 is rounded to integers, so that it reaches 103
    / 255 = 0.404.

    Reads MNIST, and the published files in $INVSPEC_DATA/invariance-examples (in ~/.cache/invspec
    if INVSPEC_DATA is unset), whose MD5 sums are checked.

    Raises: InvspecError if a file is missing or damaged.
    """

    part: Literal["all", Part] = Field(
        default="all", description="test images: all, l0, linf_03, linf_04 or linf_04_manual"
    )
    labels: Literal["human", "original"] = Field(
        default="human",
        description="labels of test images: human, or original (the digit before the change)",
    )

    @property
    def shape(self) -> Shape:
        return MNIST.shape

    @property
    def classes(self) -> int:
        return MNIST.classes

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the test split, in order."""
        return get_args(Part) if self.part == "all" else (self.part,)

    def count(self, split: SplitName) -> int:
        return sum(COUNTS[part] for part in self.parts) if split == "test" else MNIST.count(split)

    def load(self, split: SplitName) -> TensorSplit:
        if split != "test":
            return MNIST.load(split)
        pixels = _joined(_read(f"{IMAGES[part]}.npy") for part in self.parts)
        return TensorSplit(pixels[:, None].float() / 255, self._labels())

    def _labels(self) -> Tensor:
        if self.labels == "human":
            return _joined(_read(f"{IMAGES[part]}_labels.npy") for part in self.parts).long()
        return MNIST.load("test").labels()[originals(self.parts)]


def originals(parts: Iterable[Part]) -> Tensor:
    """Positions of the original digits in MNIST's test images, (N,) int64."""
    # the three parts made by an algorithm share one list of original digits
    manual = "linf_04_manual"
    files = ("linf/manual_indexs.npy" if part == manual else "indexs.npy" for part in parts)
    return _joined(map(_read, files)).long()


def _joined(arrays: Iterable[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.concatenate(list(arrays)))


def _read(name: str) -> NDArray[Any]:
    """A published array, after a check of its MD5 sum."""
    path = (folder.given() or folder.cache()) / FOLDER / name
    content = folder.read(
        path,
        MD5[name],
        missing="copy the image folders of github.com/ftramer/Excessive-Invariance into a folder "
        f"{FOLDER} and set INVSPEC_DATA to its parent folder",
        damaged="fetch the file again from github.com/ftramer/Excessive-Invariance",
    )
    return np.load(BytesIO(content), allow_pickle=False)
