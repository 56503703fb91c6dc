"""The confidence in the true class at small distances from an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Examples, Scored
from invspec.kinds import Pixels
from invspec.ops.draws import PerExample
from invspec.ops.modules import device_of
from invspec.ops.norms import per_example, size
from invspec.ops.types import SHARES, Range
from invspec.scoring.among import CountedMeasure, counted
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.rows import mean_of_pairs

Size = Annotated[Pixels, Field(ge=0, le=1)]


class Brittleness(CountedMeasure):
    """Mean confidence in the true class at x + delta, for several linf sizes of delta.

    With 10 classes, 0.1 is chance. With direction noise, every entry of delta has a random sign;
    the signs depend only on the example, so all sizes and models share them. With direction attack,
    delta is x_adv - x scaled to that size, or 0 where the attack did not move the image. Both are
    clamped to the pixel range.

    One row per size, which is in `linf`. Intervals are from a bootstrap over images, or over
    sources if the attack is on pairs.

    Raises: InvspecError where no example is classified correctly.
    """

    # Version 1 had a field for a single size.
    version: ClassVar[int] = 2
    replaced: ClassVar[Mapping[str, str]] = {"size": "use sizes: a row for each"}

    direction: Literal["noise", "attack"] = Field(
        default="noise", description="random signs, or the attack's own perturbation"
    )
    sizes: tuple[Size, ...] = Field(
        default=(0.0, 0.0025, 0.005, 0.01, 0.02, 0.03),
        min_length=1,
        description="linf sizes of delta, one row each",
    )

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        if len(set(self.sizes)) < len(self.sizes):
            raise ValueError(
                f"expected different sizes, found duplicates in sizes {list(self.sizes)}"
            )
        return self

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = counted(attacked.judged, self.among)
        pairs = attacked.judged.take(rows)
        columns = torch.cat(list(self._confidences(model, attacked)))[rows].unbind(1)
        return Scored(
            [
                mean_of_pairs(column, pairs, SHARES, linf=linf)
                for column, linf in zip(columns, self.sizes, strict=True)
            ]
        )

    @torch.no_grad()
    def _confidences(self, model: nn.Module, attacked: Examples) -> Iterator[Tensor]:
        """Confidence in the true class, batch by batch, (B, number of sizes)."""
        device = device_of(model)
        names = ("x_adv",) if self.direction == "attack" else ()
        for batch, tensors in attacked.batches(BATCH_SIZE, *names):
            x, y = batch.x.to(device), batch.y.to(device)
            direction = self._direction(batch, tensors).to(device)
            moved = ((x + linf * direction).clamp(*batch.bounds) for linf in self.sizes)
            columns = [model(images).softmax(1).gather(1, y[:, None])[:, 0] for images in moved]
            yield torch.stack([column.cpu() for column in columns], dim=1)

    def _direction(self, batch: Batch, tensors: dict[str, Tensor]) -> Tensor:
        """A perturbation of linf size 1 for each image, (B, C, H, W); 0 where the attack's is 0."""
        if self.direction == "noise":
            # a key of its own: all models and attacks share these draws
            drawn = PerExample("brittleness", batch.index).uniform(tuple(batch.x.shape))
            return torch.where(drawn < 0.5, -1.0, 1.0)
        delta = tensors["x_adv"] - batch.x
        length = size(delta, "linf")
        return delta / per_example(length.where(length > 0, 1.0), delta)
