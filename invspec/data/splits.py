"""Clean examples in batches. Images are float in [0, 1], shape (B, C, H, W)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from invspec.errors import InvspecError
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds


@dataclass(frozen=True)
class Batch:
    """Images x (B, C, H, W) and labels y (B,) int64 of the examples index (B,) of a split.

    start (B, C, H, W), if any, is what the same attack found in a smaller set: see
    Attack.sweep_field.

    In a batch of pairs, x_target (B, C, H, W) and y_target (B,) are the target images, which are of
    other classes; index numbers the pairs; ends (B, 2), on the CPU, holds the index of each pair's
    source and target in the split.

    generated (B, C, H, W), if any, is what a generator makes of x and x_target, within the bounds.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    bounds: Bounds = (0.0, 1.0)
    start: Tensor | None = None
    x_target: Tensor | None = None
    y_target: Tensor | None = None
    ends: Tensor | None = None
    generated: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> Batch:
        """Some examples of the batch, rows (M,) int64 or (B,) bool."""
        # one copy for all tensors; index and ends are on the CPU wherever the images are
        there, on_cpu = rows.to(self.x.device), rows.cpu()
        names = ("start", "x_target", "y_target", "generated")
        optional = {name: getattr(self, name) for name in names}
        taken = {name: tensor[there] for name, tensor in optional.items() if tensor is not None}
        ends = None if self.ends is None else self.ends[on_cpu]
        return replace(
            self, x=self.x[there], y=self.y[there], index=self.index[on_cpu], ends=ends, **taken
        )

    @property
    def targets(self) -> Tensor:
        """x_target (B, C, H, W), which planning ensures for attacks that need targets."""
        assert self.x_target is not None, "expected a batch with target images, found none"
        return self.x_target

    @property
    def proposals(self) -> Tensor:
        """generated (B, C, H, W), which planning ensures for attacks that need a generator."""
        assert self.generated is not None, "expected a batch with generated images, found none"
        return self.generated


class Split(Protocol):
    """A part of a data set that can be counted, cut and read in batches."""

    @property
    def bounds(self) -> Bounds:
        """Least and largest value that a pixel may have."""
        ...

    @property
    def index(self) -> Tensor:
        """The numbers of the examples in the whole split, (N,) int64 on the CPU."""
        ...

    def __len__(self) -> int: ...

    def head(self, n: int) -> Split:
        """The first n examples."""
        ...

    def take(self, positions: Tensor) -> Split:
        """The examples at positions (M,) int64, which keep their index."""
        ...

    def labels(self) -> Tensor:
        """y (N,) int64."""
        ...

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in order, or in an order drawn from shuffle."""
        ...

    def to(self, device: torch.device | str) -> Split:
        """The same examples; their batches are on another device."""
        ...


class IndexedSplit(ABC):
    """Base class of splits: it cuts them and orders their batches.

    A subclass is a frozen dataclass that holds index (N,) and implements `take`, `labels`, `to` and
    `read`. It may override `order`.
    """

    index: Tensor
    bounds: Bounds = (0.0, 1.0)

    def __len__(self) -> int:
        return len(self.index)

    def head(self, n: int) -> Self:
        """The first n examples."""
        return self.take(torch.arange(min(n, len(self))))

    @abstractmethod
    def take(self, positions: Tensor) -> Self:
        """The examples at positions (M,) int64, which keep their index."""

    @abstractmethod
    def labels(self) -> Tensor:
        """y (N,) int64."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The same examples; their batches are on another device."""

    @abstractmethod
    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The batch at each chunk of positions (B,) int64."""

    def order(self, shuffle: Stream) -> Tensor:
        """Random positions (N,) in which the examples are read."""
        return shuffle.permutation(len(self))

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in order, or in an order drawn from shuffle."""
        order = torch.arange(len(self)) if shuffle is None else self.order(shuffle)
        # An empty split gives one empty batch. Slices, because Tensor.split would make all chunks
        # before the first batch.
        starts = range(0, max(len(self), 1), size)
        yield from self.read(order[start : start + size] for start in starts)


@dataclass(frozen=True)
class LazySplit(IndexedSplit):
    """Base class of splits whose images are made as they are read; only index (N,) is cut."""

    index: Tensor
    # by keyword, so that a subclass may have fields without defaults
    device: torch.device | str = field(default="cpu", kw_only=True)

    def take(self, positions: Tensor) -> Self:
        """The examples at positions (M,), which keep their index."""
        return replace(self, index=self.index[positions.cpu()])

    def to(self, device: torch.device | str) -> Self:
        """The same examples; their batches are on another device."""
        return replace(self, device=device)


@dataclass(frozen=True)
class TensorSplit(IndexedSplit):
    """A split held in memory: y (N,), and pixels (N, C, H, W).

    Pixels are uint8 in 0..255, or float32 and used unchanged. index defaults to 0 .. N - 1.

    Raises: InvspecError if there are not as many images as labels.
    """

    pixels: Tensor
    y: Tensor
    bounds: Bounds = field(default=(0.0, 1.0), kw_only=True)
    index: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64), kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (("pixels", self.pixels), ("y", self.y)):
            _require_tensor(name, value)
        if len(self.pixels) != len(self.y):
            raise InvspecError(
                f"a split has {len(self.pixels)} images and {len(self.y)} labels, expected as many"
            )
        if len(self.index) != len(self.y):
            object.__setattr__(self, "index", torch.arange(len(self.y)))

    def take(self, positions: Tensor) -> TensorSplit:
        """The examples at positions (M,), which keep their index."""
        index = self.index[positions.cpu()]
        return replace(self, pixels=self.pixels[positions], y=self.y[positions], index=index)

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.y

    def to(self, device: torch.device | str) -> TensorSplit:
        """The same examples on another device; index stays on the CPU."""
        return replace(self, pixels=self.pixels.to(device), y=self.y.to(device))

    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The batch at each chunk of positions."""
        for positions in chunks:
            rows = positions.to(self.pixels.device)
            x = self.pixels[rows]
            # one batch at a time: a whole split in float32 would take four times its memory
            x = x / 255 if x.dtype == torch.uint8 else x
            yield Batch(x, self.y[rows], self.index[positions], self.bounds)


def _require_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise InvspecError(
            f"{name} of a split is a {type(value).__name__}, expected a torch.Tensor",
            hint="convert an array by torch.from_numpy",
        )
