"""The tensors that travel between data sets, attacks and measures.

Images are float in [0, 1], shape (B, C, H, W).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from invspec.ops.draws import Stream
from invspec.ops.types import REALS, Bounds, Range

# The course of a training, one number per epoch: {"loss": [...], "accuracy": [...]}.
Curves = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Batch:
    """Images x (B, C, H, W) and labels y (B,) int64 of the examples index (B,) of a split.

    start (B, C, H, W), if any, is what the same attack found in a smaller set: see
    Attack.sweep_field.

    In a batch of pairs, x_target (B, C, H, W) and y_target (B,) are the target images, which are of
    other classes; index numbers the pairs; ends (B, 2), on the CPU, holds the index of each pair's
    source and target in the split.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    bounds: Bounds = (0.0, 1.0)
    start: Tensor | None = None
    x_target: Tensor | None = None
    y_target: Tensor | None = None
    ends: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> Batch:
        """Some examples of the batch, rows (M,) int64 or (B,) bool."""
        optional = {name: getattr(self, name) for name in ("start", "x_target", "y_target")}
        taken = {name: tensor[rows] for name, tensor in optional.items() if tensor is not None}
        # index and ends are on the CPU wherever the images are.
        on_cpu = rows.cpu()
        ends = None if self.ends is None else self.ends[on_cpu]
        return replace(
            self, x=self.x[rows], y=self.y[rows], index=self.index[on_cpu], ends=ends, **taken
        )

    @property
    def targets(self) -> Tensor:
        """x_target (B, C, H, W), which planning ensures for attacks that need targets."""
        assert self.x_target is not None, "expected a batch with target images, found none"
        return self.x_target


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
class TensorSplit(IndexedSplit):
    """A split held in memory: y (N,), and pixels (N, C, H, W).

    Pixels are uint8 in 0..255, or float and used unchanged. index defaults to 0 .. N - 1.
    """

    pixels: Tensor
    y: Tensor
    bounds: Bounds = (0.0, 1.0)
    index: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.y), f"{len(self.pixels)} images, {len(self.y)} labels"
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
            x = x / 255 if x.dtype == torch.uint8 else x
            yield Batch(x, self.y[rows], self.index[positions], self.bounds)


@dataclass(frozen=True)
class Perturbed:
    """The result of an attack: x_adv (B, C, H, W), and path (T, B, C, H, W) of target walks.

    forwards and backwards (B,) count how often the model saw each example. exact (B, C, H, W)
    float64, if any, is x_adv before rounding to float32, from attacks whose promise would not
    survive rounding.
    """

    x_adv: Tensor
    forwards: Tensor
    backwards: Tensor
    path: Tensor | None = None
    exact: Tensor | None = None

    @classmethod
    def costing(cls, x_adv: Tensor, forwards: int, backwards: int) -> Perturbed:
        """The result of an attack that needs the same passes for all examples."""
        ones = torch.ones(len(x_adv), dtype=torch.int64, device=x_adv.device)
        return cls(x_adv, forwards * ones, backwards * ones)


@dataclass(frozen=True)
class Judged:
    """What became of each example under an attack, a column (N,) each.

    Names without a suffix belong to the clean image, those with _adv to the attacked one. Predictions
    and confidences are those of a float32 forward pass. The store and `invspec samples` have the
    same columns.
    """

    index: Tensor
    y: Tensor
    prediction: Tensor
    prediction_adv: Tensor
    confidence: Tensor
    confidence_adv: Tensor
    linf: Tensor
    l2: Tensor
    forwards: Tensor
    backwards: Tensor

    @property
    def unit(self) -> Tensor:
        """The independent unit of each example, (N,) int64: the example itself, by its index."""
        return self.index

    @property
    def correct(self) -> Tensor:
        """Whether the clean image is classified correctly, (N,) bool."""
        return self.prediction == self.y

    @property
    def correct_adv(self) -> Tensor:
        """Whether the attacked image is classified correctly, (N,) bool."""
        return self.prediction_adv == self.y

    @property
    def changed(self) -> Tensor:
        """Whether the attack changed the predicted label, (N,) bool."""
        return self.prediction_adv != self.prediction

    @property
    def fooled(self) -> Tensor:
        """Whether the attack changed the label, and not to the true one, (N,) bool."""
        return self.changed & ~self.correct_adv

    def take(self, rows: Tensor | slice) -> Self:
        """Those of some examples, rows (M,) int64, (N,) bool or a slice."""
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True)
class JudgedPairs(Judged):
    """Judged pairs: besides, the index of their source and of their target, and the target's label."""

    source: Tensor
    target: Tensor
    y_target: Tensor

    @property
    def unit(self) -> Tensor:
        """The independent unit of each pair, (N,) int64: its source."""
        return self.source


JUDGED = tuple(column.name for column in fields(Judged))

# the columns that pairs have besides
PAIRED = tuple(column.name for column in fields(JudgedPairs))[len(JUDGED) :]


def judged_from(columns: Mapping[str, Tensor]) -> Judged:
    """The record that columns (N,) by name make up; they may hold other names, too."""
    record = JudgedPairs if PAIRED[0] in tuple(columns) else Judged
    return record(*(columns[column.name] for column in fields(record)))


@dataclass(frozen=True)
class PathPromise:
    """What an attack promises about each path (T, C, H, W) that it keeps.

    max_drop: loss of confidence, in the label predicted for the source, at any vertex. longest_step:
    in l2, None if steps have any length. jumps: the first segment may lead to a start of the walk's
    own, at any distance.
    """

    max_drop: float
    longest_step: float | None
    jumps: bool


@dataclass(frozen=True)
class Examples:
    """The whole output of one attack, with its clean images.

    tensors holds x_adv (N, C, H, W) and, if the attack gives them, path (N, T, C, H, W) and exact
    (N, C, H, W) float64. They may be read from disk on access: read many by `batches`. settings are
    the attack's fields, like {"eps": 0.1, "norm": "linf"}. oracle, for measures that need one, is a
    second classifier of the same data set, x (B, C, H, W) to logits (B, K), used as ground truth.
    path_promise is what the attack promises about its paths, if anything.
    """

    clean: Split
    judged: Judged
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    oracle: Callable[[Tensor], Tensor] | None = None
    path_promise: PathPromise | None = None

    @property
    def pairs(self) -> JudgedPairs:
        """The judged columns of an attack on pairs, which the plan ensures where a measure needs them."""
        assert isinstance(self.judged, JudgedPairs), "a measure of pairs got single examples"
        return self.judged

    @property
    def x_adv(self) -> Tensor:
        """The attacked images (N, C, H, W), float32."""
        return self.tensors["x_adv"]

    def has(self, name: str) -> bool:
        """Whether there is a tensor of that name; does not read it."""
        return name in tuple(self.tensors)

    def oracle_labels(self, x: Tensor) -> Tensor:
        """The oracle's labels (B,) int64 of images x (B, C, H, W)."""
        assert self.oracle is not None, "a measure that needs an oracle got none"
        return self.oracle(x).argmax(1)

    def batches(self, size: int, *names: str) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """The clean examples in order, at most size at a time, with their rows of each named tensor."""
        done = 0
        for batch in self.clean.batches(size):
            rows = (done, done + len(batch))
            yield batch, {name: rows_of(self.tensors, name, *rows) for name in names}
            done += len(batch)


@runtime_checkable
class Sliced(Protocol):
    """Tensors that can be read in part."""

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor."""
        ...


def rows_of(tensors: Mapping[str, Tensor], name: str, start: int, stop: int) -> Tensor:
    """Rows [start, stop) of a tensor; reads no others if the tensors can be read in part."""
    if isinstance(tensors, Sliced):
        return tensors.rows(name, start, stop)
    return tensors[name][start:stop]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was measured on each independent unit: values (N,) and index (N,) int64, on the CPU.

    A unit is an example, or the source of pairs. index names it within its split, so that numbers
    measured on the same units can be paired. range holds the least and largest possible mean.
    Values are bool or whole numbers where they count something, else float64.
    """

    values: Tensor
    index: Tensor
    range: Range = REALS

    def __post_init__(self) -> None:
        shapes = (tuple(self.values.shape), tuple(self.index.shape))
        assert shapes == ((len(self.index),),) * 2, f"outcomes have shapes {shapes}"

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Outcomes)
            and self.range == other.range
            and self.values.dtype == other.values.dtype
            and torch.equal(self.values, other.values)
            and torch.equal(self.index, other.index)
        )


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval, from n units."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Row:
    """One number of a score, in the units of its measure. where tells the rows of a score apart.

    The number is the mean of the outcomes, or their quantile at level. Then analysis computes its
    interval. Pairs that share a source repeat its index in the outcomes of a quantile; in those of
    a mean an index never repeats.

    interval holds a value with an interval that the measure computed itself, because outcomes do
    not tell it: an estimated threshold, or the maximum over the images at hand. A row with both
    shows the interval; its outcomes serve to average it over seeds and to pair it with others.
    """

    outcomes: Outcomes | None = None
    level: float | None = None
    interval: Interval | None = None
    where: Mapping[str, str | float] = field(default_factory=dict[str, str | float])

    def __post_init__(self) -> None:
        assert self.outcomes is not None or self.interval is not None, "a row without a number"


@dataclass(frozen=True)
class Scored:
    """What a measure returns: rows for tables and claims, tensors for figures alone."""

    rows: Sequence[Row]
    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Journal:
    """Where a training reports its progress and keeps its state, to resume after it was killed.

    This one keeps nothing; the machinery passes one that shows progress and saves a checkpoint per
    epoch.
    """

    def resume(self) -> dict[str, Any] | None:
        """The last saved state of this training, or None."""
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of tensors, numbers and strings, nested in dicts and lists."""

    def step(self, done: int, total: int, **numbers: float) -> None:
        """Report that `done` of `total` steps are done; numbers are the latest loss and the like."""
