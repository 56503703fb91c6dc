"""The output of an attack and its outcome for each example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from invspec.data.splits import Batch, Split


@dataclass(frozen=True)
class Perturbed:
    """The result of an attack: x_adv (B, C, H, W), and path (T, B, C, H, W) of target walks.

    forwards and backwards (B,) count each example's passes through the model. exact (B, C, H, W)
    float64, if any, is x_adv before rounding to float32, from attacks whose promise rounding would
    break. Of target walks, ran_out (B,) bool are those that were on their way when their steps ran
    out, and start_refused (B,) bool those that could not begin at the start that they were given.
    """

    x_adv: Tensor
    forwards: Tensor
    backwards: Tensor
    path: Tensor | None = None
    exact: Tensor | None = None
    ran_out: Tensor | None = None
    start_refused: Tensor | None = None

    @classmethod
    def costing(cls, x_adv: Tensor, forwards: int, backwards: int) -> Perturbed:
        """The result of an attack that needs the same passes for all examples."""
        ones = torch.ones(len(x_adv), dtype=torch.int64, device=x_adv.device)
        return cls(x_adv, forwards * ones, backwards * ones)


@dataclass(frozen=True)
class Judged:
    """The outcome of an attack for each example: one column (N,) per field.

    Names without a suffix belong to the clean image, those with _adv to the attacked one.
    Predictions and confidences come from a float32 forward pass. The store and `invspec samples`
    have the same columns.
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
        """The columns of some examples: rows (M,) int64, (N,) bool or a slice."""
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True)
class JudgedPairs(Judged):
    """Judged pairs, with the index of their source and of their target, and the target's label."""

    source: Tensor
    target: Tensor
    y_target: Tensor

    @property
    def unit(self) -> Tensor:
        """The independent unit of each pair, (N,) int64: its source."""
        return self.source


JUDGED = tuple(column.name for column in fields(Judged))

# a column of attacks that have a generator: its arithmetic operations for each example, (N,) int64
GENERATOR_OPERATIONS = "generator_operations"

# columns that add up over several searches of an image; of others, one search's result counts
COSTS = ("forwards", "backwards", GENERATOR_OPERATIONS)

# the additional columns of target walks
WALKED = ("ran_out", "start_refused")

# the additional columns of pairs
PAIRED = tuple(column.name for column in fields(JudgedPairs))[len(JUDGED) :]


def judged_from(columns: Mapping[str, Tensor]) -> Judged:
    """Build the record from columns (N,) by name, ignoring other names."""
    record = JudgedPairs if PAIRED[0] in tuple(columns) else Judged
    return record(*(columns[column.name] for column in fields(record)))


@dataclass(frozen=True)
class PathPromise:
    """What an attack promises about each path (T, C, H, W) that it keeps.

    max_drop: largest loss of confidence in the label predicted for the source, at any vertex.
    longest_step: largest l2 length of a step; None if unlimited. jumps: the first segment may lead
    to a separate start at any distance.
    """

    max_drop: float
    longest_step: float | None
    jumps: bool


@dataclass(frozen=True)
class Examples:
    """The whole output of one attack, with its clean images.

    tensors holds x_adv (N, C, H, W) and, if the attack returns them, path (N, T, C, H, W) and exact
    (N, C, H, W) float64. They may be read from disk on access; `batches` reads many. settings are
    the attack's fields, like {"eps": 0.1, "norm": "linf"}, and `before`, the identity of what
    transformed the clean images, if anything did. oracle, for measures that need one, is a
    second classifier of the same data set, x (B, C, H, W) to logits (B, K), used as ground truth.
    path_promise is what the attack promises about its paths, if anything. others hold x_adv of the
    same attack on other nets, for checks that compare nets.
    """

    clean: Split
    judged: Judged
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    oracle: Callable[[Tensor], Tensor] | None = None
    path_promise: PathPromise | None = None
    others: tuple[Tensor, ...] = ()

    @property
    def pairs(self) -> JudgedPairs:
        """The judged columns of an attack on pairs; planning ensures that it ran on pairs."""
        assert isinstance(self.judged, JudgedPairs), "expected pairs, found single examples"
        return self.judged

    @property
    def x_adv(self) -> Tensor:
        """The attacked images (N, C, H, W), float32."""
        return self.tensors["x_adv"]

    def has(self, name: str) -> bool:
        """Whether there is a tensor of that name; does not read it."""
        # `name in self.tensors` may read the tensor
        return name in tuple(self.tensors)

    def is_transformed_as(self, other: Examples) -> bool:
        """Whether the same `before`, or none, made the clean images of both attacks."""
        return self.settings.get("before") == other.settings.get("before")

    def oracle_labels(self, x: Tensor) -> Tensor:
        """The oracle's labels (B,) int64 of images x (B, C, H, W)."""
        assert self.oracle is not None, "expected examples with an oracle, found none"
        return self.oracle(x).argmax(1)

    def batches(self, size: int, *names: str) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """At most size examples at a time, in order, with their rows of each named tensor."""
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
    """Rows [start, stop) of a tensor; other rows are not read if the tensors are `Sliced`."""
    if isinstance(tensors, Sliced):
        return tensors.rows(name, start, stop)
    return tensors[name][start:stop]
