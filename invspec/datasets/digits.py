"""Real handwritten digits that need no download."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from invspec.data import TensorSplit
from invspec.kinds import Dataset, SplitName
from invspec.ops.draws import digest
from invspec.ops.types import Shape

# positions in the order that `dealt` gives
PARTS: dict[SplitName, slice] = {
    "test": slice(0, 400),
    "train": slice(400, 1600),
    "val": slice(1600, 1797),
}


class Digits(Dataset):
    """The 1,797 digits of scikit-learn (8 x 8, 17 grey levels), resized bilinearly to 28 x 28.

    1,200 train, 197 val and 400 test images. The split never changes: the images of each class are
    ordered by a hash of their position, and the classes are interleaved in proportion, so that
    every split, and the first n images of every split, have the class proportions of the whole. The
    same writer can be in several splits, because scikit-learn's copy does not name the writers.
    """

    @property
    def shape(self) -> Shape:
        return (1, 28, 28)

    @property
    def classes(self) -> int:
        return 10

    def count(self, split: SplitName) -> int:
        part = PARTS[split]
        return part.stop - part.start

    def load(self, split: SplitName) -> TensorSplit:
        images, y = _bundled()
        positions = dealt(y)[PARTS[split]]
        return TensorSplit(enlarge(images[positions]), y[positions])


def _bundled() -> tuple[Tensor, Tensor]:
    """images (1797, 8, 8) float32 in 0..16, y (1797,) int64."""
    # Importing scikit-learn takes half a second.
    from sklearn.datasets import load_digits

    bunch: dict[str, Any] = load_digits()  # pyright: ignore[reportAssignmentType]  # it is a Bunch
    images = torch.from_numpy(bunch["images"].astype(np.float32))
    return images, torch.from_numpy(bunch["target"].astype(np.int64))


def dealt(y: Tensor) -> Tensor:
    """An order (N,) of the examples in which every run has the class proportions of y (N,)."""
    rank = torch.empty(len(y), dtype=torch.float64)
    for label in y.unique():
        positions = (y == label).nonzero().flatten().tolist()
        members = sorted(positions, key=lambda position: digest(f"digits/{position}"))
        rank[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return rank.argsort(stable=True)


def enlarge(images: Tensor) -> Tensor:
    """(N, 8, 8) in 0..16 to pixels (N, 1, 28, 28) uint8."""
    resized = F.interpolate(images[:, None].double(), (28, 28), mode="bilinear") * (255 / 16)
    # The 1e-6 makes halves round up whatever the last bit of the interpolation is.
    return (resized + 0.5 + 1e-6).floor().to(torch.uint8)
