"""Data sets."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from invspec.kinds.method import Method
from invspec.ops.types import Bounds, Shape

if TYPE_CHECKING:
    from invspec.data import Split

SplitName = Literal["train", "val", "test"]


class Dataset(Method):
    """Labelled images. Shape (C, H, W), classes, bounds and counts are known without loading."""

    kind: ClassVar[str] = "dataset"

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """(C, H, W)."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes, K."""

    @property
    def bounds(self) -> Bounds:
        """Least and largest value of a pixel."""
        return (0.0, 1.0)

    @abstractmethod
    def count(self, split: SplitName) -> int:
        """Number of examples in a split."""

    @abstractmethod
    def load(self, split: SplitName) -> Split:
        """Read a split.

        Its images have the shape and are within the bounds of the data set, its labels are 0 to
        K - 1, and it has as many examples as `count` says. Reading it again gives the same. This is
        verified when it is read; the global generators are seeded meanwhile. A run warns of test
        images that are those of the training.

        Raises: InvspecError if the data is missing or damaged.
        """

    @property
    def stand_in(self) -> tuple[str, dict[str, Any]]:
        """Name and fields of the data set that replaces this one in a smoke run.

        By default generated images of the same shape, classes and bounds.
        """
        # None, because fields and keys refuse infinite numbers
        bounds = tuple(bound if math.isfinite(bound) else None for bound in self.bounds)
        like = {"shape": self.shape, "classes": self.classes, "bounds": bounds}
        return "fake", {**like, "train": 128}
