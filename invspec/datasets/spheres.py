"""Two concentric spheres; the distance from the centre gives the class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from invspec.data import Batch, LazySplit, Split, TensorSplit
from invspec.kinds import Number, SplitName
from invspec.kinds.generated import Generated, TestCount, TrainCount, ValCount
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds, Shape

# Number of points that are drawn together.
BLOCK = 1024

# Largest size in bytes of a split that is held in memory.
MAX_BYTES_IN_MEMORY = 2**29

BOUNDS: Bounds = (-math.inf, math.inf)


class Spheres(Generated):
    """Points (1, 1, d) on two equally likely spheres around 0: label 0 inside, label 1 outside.

    A point is its radius times g / ||g||, where g is a standard Gaussian. It depends only on the
    seed, the split and its index: a longer split starts with the shorter one, and changing the
    radii keeps labels and directions.

    A split of at most 512 MiB is held in memory. The points of a larger one are drawn as they are
    read, in blocks of 1,024. Shuffling puts the blocks in random order, and the points within each
    block. Batches are as random as after a full shuffle, because points are independent.
    """

    d: int = Field(default=100, ge=2, description="dimension of the space")
    inner: Number = Field(default=1.0, gt=0, description="radius of the sphere of label 0")
    outer: Number = Field(default=10.0, gt=0, description="radius of the sphere of label 1")
    train: TrainCount = 500_000
    val: ValCount = 100_000
    test: TestCount = 100_000
    seed: int = Field(default=0, ge=0, description="seed of the points")

    @model_validator(mode="after")
    def _inner_below_outer(self) -> Self:
        if not self.inner < self.outer:
            raise ValueError(f"inner {self.inner:g} must be less than outer {self.outer:g}")
        return self

    @property
    def shape(self) -> Shape:
        return (1, 1, self.d)

    @property
    def classes(self) -> int:
        return 2

    @property
    def bounds(self) -> Bounds:
        return BOUNDS

    def load(self, split: SplitName) -> Split:
        drawn = DrawnSplit(torch.arange(self.count(split)), self, f"spheres/{self.seed}/{split}")
        # four bytes per float32
        if 4 * self.d * len(drawn) > MAX_BYTES_IN_MEMORY:
            return drawn
        return TensorSplit(*drawn.points(drawn.index), bounds=BOUNDS)


@dataclass(frozen=True)
class DrawnSplit(LazySplit):
    """The points of a split at index (N,), drawn whenever they are read; key names the draws."""

    spheres: Spheres
    key: str
    bounds: Bounds = BOUNDS

    def labels(self) -> Tensor:
        """y (N,) int64."""
        y = torch.empty_like(self.index)
        for block, rows in by_block(self.index):
            y[rows] = draw_labels(stream(self.key, block))[self.index[rows] % BLOCK]
        return y.to(self.device)

    def order(self, shuffle: Stream) -> Tensor:
        """Random positions (N,) in which those of a block stay together."""
        blocks = [rows for _, rows in by_block(self.index)]
        order = (blocks[k] for k in shuffle.permutation(len(blocks)).tolist())
        return torch.cat([rows[shuffle.permutation(len(rows))] for rows in order])

    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The points at each chunk of positions."""
        for positions in chunks:
            index = self.index[positions]
            x, y = self.points(index)
            yield Batch(x.to(self.device), y.to(self.device), index, self.bounds)

    def points(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """x (M, 1, 1, d) float32 and y (M,) int64 of the points at index (M,), on the CPU."""
        x, y = torch.empty(len(index), self.spheres.d), torch.empty_like(index)
        for block, rows in by_block(index):
            directions, labels = draw_block(self.key, self.spheres.d, block)
            x[rows], y[rows] = directions[index[rows] % BLOCK], labels[index[rows] % BLOCK]
        x *= torch.tensor([self.spheres.inner, self.spheres.outer])[y, None]
        return x.view(-1, *self.spheres.shape), y


def by_block(index: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each block with points at index (M,), and the positions of these points in index."""
    # stable, so that the points of a block keep their order
    sorted_blocks, order = (index // BLOCK).sort(stable=True)
    blocks, counts = sorted_blocks.unique_consecutive(return_counts=True)
    return zip(blocks.tolist(), order.split(counts.tolist()), strict=True)


# Two, because a batch can start in one block and end in the next.
@lru_cache(maxsize=2)
def draw_block(key: str, d: int, block: int) -> tuple[Tensor, Tensor]:
    """The directions (BLOCK, d), of length 1, and labels (BLOCK,) of a block."""
    rng = stream(key, block)
    y = draw_labels(rng)
    return F.normalize(rng.normal((BLOCK, d))), y


def stream(key: str, block: int) -> Stream:
    """The random stream of a block."""
    return Stream(f"{key}/{block}")


def draw_labels(rng: Stream) -> Tensor:
    """The labels (BLOCK,) of a block, which are drawn before everything else."""
    return rng.integers(2, (BLOCK,))
