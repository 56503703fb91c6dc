"""What measures of pairs have in common: who counts, how paths are read, and means over the pairs' sources.

Pairs that share a source are not independent of each other, so that whatever is bootstrapped is bootstrapped over
sources; targets are taken as given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Examples, rows_of
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.perceptual.distances import Distance, distance, offline, weights_read

Eligible = Literal["correct", "all"]


READ = 256  # images, or pairs of them, that are held at a time


HELD = 2**23  # numbers of paths that are held at a time, 32 MiB, unless a single path has more


class OfPairs(Measure):
    """A measure of pairs, of which those with a correctly classified source count, or all."""

    wants_target: ClassVar[bool] = True

    eligible: Eligible = Field(
        default="correct", description="pairs of correctly classified sources, or all pairs"
    )

    def smoke(self) -> Self:
        """Of all pairs, since a net of one epoch may have none right."""
        return super().smoke().model_copy(update={"eligible": "all"})


class ByDistance(OfPairs):
    """A measure of how far from its target each pair's final image is."""

    distance: Distance = Field(
        default="lpips_alex", description="from the final image to the target"
    )

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    def smoke(self) -> Self:
        """By a distance that needs no download."""
        return super().smoke().model_copy(update={"distance": offline(self.distance)})


def eligible(examples: Examples, which: Eligible) -> Tensor:
    """Which pairs count, (N,) bool: those whose source is classified correctly, or all.

    Raises: InvspecError where there is none.
    """
    judged = examples.judged
    kept = (judged["prediction"] == judged["y"]) | (which == "all")
    if not kept.any():
        raise InvspecError(
            f"none of {len(kept):,} pairs is eligible: the model classifies no source correctly",
            hint="say eligible: all, train the model longer, or widen the sample",
        )
    return kept


def device_of(model: nn.Module) -> torch.device:
    """Where a model computes; the CPU for one without weights."""
    weights = next(model.parameters(), None)
    return torch.device("cpu") if weights is None else weights.device


@torch.no_grad()
def confidences(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """Probability of label (M,) for each of the images x (M, C, H, W), READ at a time: (M,) on the device of x."""
    device = device_of(model)
    parts = [
        model(images.to(device)).softmax(1).gather(1, classes.to(device)[:, None]).squeeze(1)
        for images, classes in zip(x.split(READ), label.split(READ), strict=True)
    ]
    return torch.cat(parts).to(x.device) if parts else x.new_empty(0)


def class_count(model: nn.Module, examples: Examples) -> int:
    """K, the number of the model's logits."""
    (batch,) = examples.clean.head(1).batches(1)
    with torch.no_grad():
        return model(batch.x.to(device_of(model))).shape[1]


@dataclass(frozen=True)
class Walks:
    """Some pairs of an attack that walks, on the model's device: the judged columns' rows, the clean batch, the rest.

    x_adv (B, C, H, W); path (B, T, C, H, W), whose first vertex is the source; label (B,), which the model gives the
    source, with confidence (B,).
    """

    rows: slice
    batch: Batch
    x: Tensor
    x_adv: Tensor
    path: Tensor
    label: Tensor
    confidence: Tensor


def demand_path(examples: Examples) -> None:
    """Raises InvspecError where the attack kept no path."""
    if "path" not in tuple(examples.tensors):  # `in` the mapping itself may read the tensor
        raise InvspecError(
            "the attack kept no path",
            hint="set keep_path: true on an attack that walks, such as nspgd",
        )


def walked(examples: Examples, device: torch.device, size: int | None = None) -> Iterator[Walks]:
    """At most size pairs at a time, in order; without a size, as many as HELD allows.

    Raises: InvspecError where the attack kept no path.
    """
    demand_path(examples)
    if size is None:
        size = max(1, HELD // rows_of(examples.tensors, "path", 0, 1).numel())
    done = 0
    for batch, tensors in examples.batches(size, "x_adv", "path"):
        rows = slice(done, done + len(batch))
        columns = (examples.judged[name][rows] for name in ("prediction", "confidence"))
        x, *others = (
            one.to(device) for one in (batch.x, tensors["x_adv"], tensors["path"], *columns)
        )
        yield Walks(rows, batch, x, *others)
        done += len(batch)


@torch.no_grad()
def distances_to_target(
    examples: Examples, model: nn.Module, name: Distance, *, clean: bool = False
) -> Tensor:
    """From each pair's final image to its target, (N,); from its source instead, if clean. READ pairs at a time."""
    between, device = distance(name, model), device_of(model)
    found: list[Tensor] = []
    for batch, tensors in examples.batches(READ, *(() if clean else ("x_adv",))):
        x = batch.x if clean else tensors["x_adv"]
        found.append(between(x.to(device), batch.targets.to(device)).double().cpu())
    return torch.cat(found)
