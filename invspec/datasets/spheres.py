"""Two concentric spheres, of which a point's distance from the centre tells the class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from invspec.data import Batch, Split, TensorSplit
from invspec.kinds import Dataset, Number, SplitName
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds, Shape

BLOCK = 1024  # points that are drawn together
WHOLE = 2**29  # bytes: a split of so many, or fewer, is held in memory


class Spheres(Dataset):
    """Points (1, 1, d) on two spheres around 0 that are equally likely: label 0 on the inner one, 1 on the outer.

    A point is its radius times g / ||g||, where g is a standard Gaussian. It depends on the seed, the split and its
    index alone: a longer split begins with a shorter one, and other radii have the same labels and directions.

    A split of at most 512 MiB is held in memory. Of a larger one nothing is: its points are drawn as they are read,
    1,024 at a time, and it is shuffled by blocks of so many, which come in random order, each in random order within.
    As points are independent of each other, no batch is less random for it.
    """

    d: int = Field(default=100, ge=2, description="dimension of the space")
    inner: Number = Field(default=1.0, gt=0, description="radius of the sphere of label 0")
    outer: Number = Field(default=10.0, gt=0, description="radius of the sphere of label 1")
    train: int = Field(default=500_000, ge=1, description="number of training points")
    val: int = Field(default=100_000, ge=1, description="number of validation points")
    test: int = Field(default=100_000, ge=1, description="number of test points")
    seed: int = Field(default=0, ge=0, description="another seed, other points")

    @model_validator(mode="after")
    def _one_in_the_other(self) -> Self:
        if not self.inner < self.outer:
            raise ValueError(
                f"the inner radius, {self.inner:g}, is not below the outer one, {self.outer:g}"
            )
        return self

    @property
    def shape(self) -> Shape:
        return (1, 1, self.d)

    @property
    def classes(self) -> int:
        return 2

    @property
    def bounds(self) -> Bounds:
        return (-math.inf, math.inf)

    def count(self, split: SplitName) -> int:
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def load(self, split: SplitName) -> Split:
        drawn = DrawnSplit(self, f"spheres/{self.seed}/{split}", torch.arange(self.count(split)))
        if 4 * self.d * len(drawn) > WHOLE:
            return drawn
        return TensorSplit(*drawn.points(drawn.index), self.bounds)


@dataclass(frozen=True)
class DrawnSplit:
    """Some points of a split, those at index (N,), drawn whenever they are read; key says from which numbers."""

    spheres: Spheres
    key: str
    index: Tensor
    device: torch.device | str = "cpu"

    @property
    def bounds(self) -> Bounds:
        """Least and largest value of a coordinate."""
        return self.spheres.bounds

    def __len__(self) -> int:
        return len(self.index)

    def head(self, n: int) -> DrawnSplit:
        """The first n points."""
        return replace(self, index=self.index[:n])

    def take(self, positions: Tensor) -> DrawnSplit:
        """The points at positions (M,), which keep their index."""
        return replace(self, index=self.index[positions.cpu()])

    def labels(self) -> Tensor:
        """y (N,) int64."""
        y = torch.empty_like(self.index)
        for block, rows in by_block(self.index):
            y[rows] = labels_drawn(stream(self.key, block))[self.index[rows] % BLOCK]
        return y.to(self.device)

    def to(self, device: torch.device | str) -> DrawnSplit:
        """The same points, whose batches come on another device."""
        return replace(self, device=device)

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size points, in order or in an order of blocks, and within them, drawn from shuffle."""
        index = self.index if shuffle is None else self.index[self._order(shuffle)]
        for start in range(
            0, len(index), size
        ):  # split would make millions of tensors before the first batch
            rows = index[start : start + size]
            x, y = self.points(rows)
            yield Batch(x.to(self.device), y.to(self.device), rows, self.bounds)

    def _order(self, shuffle: Stream) -> Tensor:
        """Positions (N,): those within a block stay together."""
        blocks = [rows for _, rows in by_block(self.index)]
        order = (blocks[k] for k in shuffle.permutation(len(blocks)).tolist())
        return torch.cat([rows[shuffle.permutation(len(rows))] for rows in order])

    def points(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """x (M, 1, 1, d) float32 and y (M,) int64 of the points at index (M,), on the CPU."""
        x, y = torch.empty(len(index), self.spheres.d), torch.empty_like(index)
        for block, rows in by_block(index):
            directions, labels = drawn(self.key, self.spheres.d, block)
            x[rows], y[rows] = directions[index[rows] % BLOCK], labels[index[rows] % BLOCK]
        x *= torch.tensor([self.spheres.inner, self.spheres.outer])[y, None]
        return x.view(-1, *self.spheres.shape), y


def by_block(index: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each block that holds any of index (M,), and the positions in index of those it holds."""
    blocks, order = (index // BLOCK).sort(stable=True)
    found, counts = blocks.unique_consecutive(return_counts=True)
    return zip(found.tolist(), order.split(counts.tolist()), strict=True)


@lru_cache(maxsize=2)  # a batch may begin in one block and end in the next
def drawn(key: str, d: int, block: int) -> tuple[Tensor, Tensor]:
    """The directions (BLOCK, d), of length 1, and labels (BLOCK,) of a block."""
    rng = stream(key, block)
    y = labels_drawn(rng)
    return F.normalize(rng.normal((BLOCK, d))), y


def stream(key: str, block: int) -> Stream:
    """What a block is drawn from."""
    return Stream(f"{key}/{block}")


def labels_drawn(rng: Stream) -> Tensor:
    """The labels of a block (BLOCK,), which are drawn before all else of it."""
    return rng.integers(2, (BLOCK,))
