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

PARTS: dict[SplitName, slice] = {
    "test": slice(0, 400),
    "train": slice(400, 1600),
    "val": slice(1600, 1797),
}


class Digits(Dataset):
    """The 1,797 digits that scikit-learn ships (8 x 8, 17 grey levels), enlarged to 28 x 28 by bilinear interpolation.

    1,200 train, 197 val and 400 test images. The split is fixed for ever: within a class the images are ordered by a
    hash of their position, and the classes are then dealt out in proportion, so that every split, and every head of
    one, holds them as evenly as they occur. Writers are not kept apart: scikit-learn's copy does not name them.
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
        chosen = dealt(y)[PARTS[split]]
        return TensorSplit(enlarge(images[chosen]), y[chosen])


def _bundled() -> tuple[Tensor, Tensor]:
    """images (1797, 8, 8) float32 in 0..16, y (1797,) int64."""
    from sklearn.datasets import load_digits  # half a second to import

    found: dict[str, Any] = load_digits()  # pyright: ignore[reportAssignmentType]  # it is a Bunch
    return torch.from_numpy(found["images"].astype(np.float32)), torch.from_numpy(
        found["target"].astype(np.int64)
    )


def dealt(y: Tensor) -> Tensor:
    """An order of the examples, (N,), any run of which holds the classes of y (N,) in proportion."""
    share = torch.empty(len(y), dtype=torch.float64)
    for label in y.unique():
        members = sorted(
            (y == label).nonzero().flatten().tolist(),
            key=lambda position: digest(f"digits/{position}"),
        )
        share[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return share.argsort(stable=True)


def enlarge(images: Tensor) -> Tensor:
    """(N, 8, 8) in 0..16 to pixels (N, 1, 28, 28) uint8."""
    larger = F.interpolate(images[:, None].double(), (28, 28), mode="bilinear") * (255 / 16)
    return (
        (larger + 0.5 + 1e-6).floor().to(torch.uint8)
    )  # halves go up whatever the last bit of the sum above
