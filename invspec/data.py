"""The tensors that travel between datasets, attacks and measures. Images are float in [0, 1], shape (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from invspec.ops.draws import Stream
from invspec.ops.types import Bounds

Curves = Mapping[
    str, Sequence[float]
]  # how a training went: {"loss": [...], "accuracy": [...]}, a number an epoch


@dataclass(frozen=True)
class Batch:
    """x (B, C, H, W), y (B,) int64; index (B,) says which examples of the split these are.

    start (B, C, H, W), where there is one, is what the same attack found within a smaller set: see Attack.sweep_field.
    Of pairs, x_target (B, C, H, W) and y_target (B,) are images of other classes to walk to, index says which pair it
    is, and ends (B, 2), on the CPU, which examples of the split are its source and its target.
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
        others = {name: tensor[rows] for name, tensor in optional.items() if tensor is not None}
        ends = None if self.ends is None else self.ends[rows.cpu()]
        return replace(
            self, x=self.x[rows], y=self.y[rows], index=self.index[rows.cpu()], ends=ends, **others
        )

    @property
    def targets(self) -> Tensor:
        """x_target (B, C, H, W) of a batch that has one, which the plan sees to for attacks that want targets."""
        assert self.x_target is not None, "an attack that walks to a target got no target"
        return self.x_target


class Split(Protocol):
    """A part of a data set that can be counted, cut and read in batches."""

    @property
    def bounds(self) -> Bounds:
        """Least and largest value that a pixel may have."""
        ...

    @property
    def index(self) -> Tensor:
        """Which examples of the whole split these are, (N,) int64 on the CPU."""
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
        """Batches of at most size examples, in order or in an order drawn from shuffle."""
        ...

    def to(self, device: torch.device | str) -> Split:
        """The same examples, whose batches come on another device."""
        ...


@dataclass(frozen=True)
class TensorSplit:
    """A split held whole in memory: pixels (N, C, H, W) uint8 in 0..255, or float that is used as it is; y (N,)."""

    pixels: Tensor
    y: Tensor
    bounds: Bounds = (0.0, 1.0)
    index: Tensor = field(
        default_factory=lambda: torch.empty(0, dtype=torch.int64)
    )  # default: 0 .. N - 1

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.y), f"{len(self.pixels)} images, {len(self.y)} labels"
        if len(self.index) != len(self.y):
            object.__setattr__(self, "index", torch.arange(len(self.y)))

    def __len__(self) -> int:
        return len(self.y)

    def head(self, n: int) -> TensorSplit:
        """The first n examples."""
        return self.take(torch.arange(min(n, len(self))))

    def take(self, positions: Tensor) -> TensorSplit:
        """The examples at positions (M,), which keep their index."""
        return replace(
            self,
            pixels=self.pixels[positions],
            y=self.y[positions],
            index=self.index[positions.cpu()],
        )

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.y

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in order or in an order drawn from shuffle."""
        order = torch.arange(len(self)) if shuffle is None else shuffle.permutation(len(self))
        for rows in order.split(size):
            chosen = rows.to(self.pixels.device)
            x = self.pixels[chosen]
            yield Batch(
                x / 255 if x.dtype == torch.uint8 else x,
                self.y[chosen],
                self.index[rows],
                self.bounds,
            )

    def to(self, device: torch.device | str) -> TensorSplit:
        """The same examples on another device; index stays on the CPU."""
        return replace(self, pixels=self.pixels.to(device), y=self.y.to(device))


@dataclass(frozen=True)
class Perturbed:
    """What an attack found: x_adv (B, C, H, W); path (T, B, C, H, W) only from attacks that walk.

    forwards and backwards (B,) count how often the model saw each example. exact (B, C, H, W) float64, where there is
    one, is x_adv before it was rounded to float32, from attacks whose promise that rounding would break.
    """

    x_adv: Tensor
    forwards: Tensor
    backwards: Tensor
    path: Tensor | None = None
    exact: Tensor | None = None

    @classmethod
    def costing(cls, x_adv: Tensor, forwards: int, backwards: int) -> Perturbed:
        """The result of an attack that treats all examples alike."""
        ones = torch.ones(len(x_adv), dtype=torch.int64, device=x_adv.device)
        return cls(x_adv, forwards * ones, backwards * ones)


JUDGED = (
    "index",
    "y",
    "prediction",
    "prediction_adv",
    "confidence",
    "confidence_adv",
    "linf",
    "l2",
    "forwards",
    "backwards",
)


PAIRED = (
    "source",
    "target",
    "y_target",
)  # besides, where examples are pairs: index in the split, twice, and a label


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
    """One attack's whole output, judged: columns (N,) by name (JUDGED, and PAIRED of pairs), one row an example.

    tensors holds x_adv (N, C, H, W) and, where the attack gives them, path (N, T, C, H, W) and exact (N, C, H, W)
    float64; it may read them on demand, all of them at once, so that `batches` is the way to read many. settings are
    the attack's fields, like {"eps": 0.1, "norm": "linf"}, promise what it says of its paths. oracle, for measures that want one, is a second classifier
    of the same data set, x (B, C, H, W) to logits (B, K), that is believed.
    """

    clean: Split
    judged: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    oracle: Callable[[Tensor], Tensor] | None = None
    promise: PathPromise | None = None

    @property
    def x_adv(self) -> Tensor:
        """The attacked images (N, C, H, W), float32."""
        return self.tensors["x_adv"]

    def believed(self, x: Tensor) -> Tensor:
        """What the oracle says that images x (B, C, H, W) show: labels (B,) int64."""
        assert self.oracle is not None, "a measure that wants an oracle got none"
        return self.oracle(x).argmax(1)

    def batches(self, size: int, *names: str) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """At most size examples at a time, in order: the clean batch, and of each tensor named its rows."""
        done = 0
        for batch in self.clean.batches(size):
            yield (
                batch,
                {name: rows_of(self.tensors, name, done, done + len(batch)) for name in names},
            )
            done += len(batch)


@runtime_checkable
class Sliced(Protocol):
    """Tensors of which some rows can be read without the others."""

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor."""
        ...


def rows_of(tensors: Mapping[str, Tensor], name: str, start: int, stop: int) -> Tensor:
    """Rows [start, stop) of a tensor, without reading the others where that can be."""
    return (
        tensors.rows(name, start, stop)
        if isinstance(tensors, Sliced)
        else tensors[name][start:stop]
    )


@dataclass(frozen=True)
class Row:
    """A value in the units of its measure, over n examples, with its 95 % interval. where tells rows apart."""

    value: float
    n: int
    low: float
    high: float
    where: Mapping[str, str | float] = field(default_factory=dict[str, str | float])


@dataclass(frozen=True)
class Scored:
    """rows: what a table shows. tensors: what a figure or a paired comparison needs and a row cannot hold.

    A measure that is a mean over examples gives tensors["each"] (N,), whose mean is its one row's value, and
    tensors["index"] (N,); differences between two such scores are then paired over examples.
    """

    rows: Sequence[Row]
    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Journal:
    """What a training tells about itself while it runs, and what it needs to go on after it was killed.

    This one forgets everything; the machinery passes one that shows progress and keeps a checkpoint an epoch.
    """

    def resume(self) -> dict[str, Any] | None:
        """The state last saved for this very training, or None."""
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state of tensors, numbers and texts, nested in dicts and lists."""

    def step(self, done: int, total: int, **numbers: float) -> None:
        """done of total steps are behind; numbers are the latest loss, accuracy and the like."""
