"""Base classes and helpers for measures of pairs: eligible pairs, paths, distances to targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Examples, rows_of
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.ops.modules import device_of
from invspec.perceptual.distances import (
    Distance,
    describe,
    distance,
    weights_read,
    with_offline_distance,
)

Eligible = Literal["correct", "all"]

# images, or pairs, per batch
BATCH_SIZE = 256

# largest number of path entries held at a time, 32 MiB, unless a single path has more
MAX_HELD = 2**23


class PairMeasure(Measure):
    """Base class of measures of pairs: those with a correctly classified source, or all."""

    wants_target: ClassVar[bool] = True

    eligible: Eligible = Field(
        default="correct", description="pairs of correctly classified sources, or all pairs"
    )

    def smoke(self) -> Self:
        """Count all pairs, because a net of one epoch may classify no source correctly."""
        return super().smoke().model_copy(update={"eligible": "all"})


class DistanceMeasure(PairMeasure):
    """Base class of measures of the distance between each pair's final image and its target."""

    distance: Distance = Field(
        default="lpips_alex", description="from the final image to the target"
    )

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    @property
    def distance_label(self) -> str:
        return describe(self.distance)

    def smoke(self) -> Self:
        """Use a distance that needs no download."""
        return with_offline_distance(super().smoke())


class SuccessMeasure(DistanceMeasure):
    """Base class of measures of success: the final image is near the target."""

    max_distance: Number = Field(
        default=0.03, gt=0, description="a pair succeeds below this distance"
    )

    @property
    def limit_label(self) -> str:
        return f"max_distance {self.max_distance:.6g}"

    def successes(self, model: nn.Module, attacked: Examples) -> Tensor:
        """Whether each pair's final image is nearer to its target than max_distance, (N,) bool."""
        return distances_to_target(attacked, model, self.distance) < self.max_distance

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return -distances_to_target(attacked, model, self.distance)


def eligible(examples: Examples, which: Eligible) -> Tensor:
    """The pairs whose source is classified correctly, or all of them: (N,) bool.

    Raises: InvspecError where there are none.
    """
    rows = examples.judged.correct | (which == "all")
    if not rows.any():
        raise InvspecError(
            f"none of {len(rows):,} pairs is eligible: the model classifies no source correctly",
            hint="set eligible: all, train the model longer, or widen the sample",
        )
    return rows


@torch.no_grad()
def confidences(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """The probability of label (M,) for images x (M, C, H, W): (M,) on the device of x.

    BATCH_SIZE images at a time.
    """
    device = device_of(model)
    parts = [
        model(images.to(device)).softmax(1).gather(1, classes.to(device)[:, None]).squeeze(1)
        for images, classes in zip(x.split(BATCH_SIZE), label.split(BATCH_SIZE), strict=True)
    ]
    return torch.cat(parts).to(x.device) if parts else x.new_empty(0)


def class_count(model: nn.Module, examples: Examples) -> int:
    """K, the number of the model's logits."""
    (batch,) = examples.clean.head(1).batches(1)
    with torch.no_grad():
        return model(batch.x.to(device_of(model))).shape[1]


def placed_batches(
    examples: Examples, size: int, *names: str
) -> Iterator[tuple[slice, Batch, dict[str, Tensor]]]:
    """The batches of examples, each with its positions among all examples."""
    done = 0
    for batch, tensors in examples.batches(size, *names):
        yield slice(done, done + len(batch)), batch, tensors
        done += len(batch)


# ─ paths ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Walks:
    """Some pairs with their paths, on the model's device.

    rows are their positions among all pairs, batch their clean images x (B, C, H, W). The first
    vertex of path (B, T, C, H, W) is the source. label (B,) is what the model predicts for the
    source, with confidence (B,).
    """

    rows: slice
    batch: Batch
    x: Tensor
    x_adv: Tensor
    path: Tensor
    label: Tensor
    confidence: Tensor


def require_path(examples: Examples) -> None:
    """Raise InvspecError if the attack kept no path."""
    if not examples.has("path"):
        hint = "set keep_path: true on an attack that walks, such as nspgd"
        raise InvspecError("the attack kept no path", hint=hint)


def walked(examples: Examples, device: torch.device, size: int | None = None) -> Iterator[Walks]:
    """The pairs in order, at most size at a time, or as many as MAX_HELD allows if size is None.

    Raises: InvspecError where the attack kept no path.
    """
    require_path(examples)
    if size is None:
        size = max(1, MAX_HELD // rows_of(examples.tensors, "path", 0, 1).numel())
    judged = examples.judged
    for rows, batch, tensors in placed_batches(examples, size, "x_adv", "path"):
        on_cpu = (
            tensors["x_adv"],
            tensors["path"],
            judged.prediction[rows],
            judged.confidence[rows],
        )
        yield Walks(rows, batch, batch.x.to(device), *(tensor.to(device) for tensor in on_cpu))


@torch.no_grad()
def distances_to_target(
    examples: Examples, model: nn.Module, name: Distance, *, clean: bool = False
) -> Tensor:
    """The distance of each pair's final image, or of its source if clean, to its target: (N,).

    BATCH_SIZE pairs at a time.
    """
    between, device = distance(name, model), device_of(model)
    parts: list[Tensor] = []
    for batch, tensors in examples.batches(BATCH_SIZE, *(() if clean else ("x_adv",))):
        x = batch.x if clean else tensors["x_adv"]
        parts.append(between(x.to(device), batch.targets.to(device)).double().cpu())
    return torch.cat(parts)
