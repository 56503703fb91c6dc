"""Pictures of images before and after an attack that needs no target."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, ImageGrid, Scored
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.scoring.among import CountedMeasure, counted
from invspec.scoring.pairs import BATCH_SIZE, confidences, placed_batches
from invspec.scoring.rows import mean


class AttackedImages(CountedMeasure):
    """Clean image, perturbation and attacked image of a few examples, side by side.

    Below the images is the confidence in the true class. The perturbation is shown around grey, as
    a share of the largest change of any pixel of the example: grey is no change, and the largest
    one is black or white.

    A row for each quantity: for clean and attacked, the mean confidence of the examples shown; for
    change, the mean linf size of the perturbation. They are the first examples, so for rates use
    other measures. Tensors: images (R, 3, C, H, W), captions and frames (R, 3).

    Raises: InvspecError where no example is classified correctly.
    """

    figures: ClassVar[tuple[str, ...]] = ("images",)

    count: int = Field(default=5, ge=1, description="number of examples to show, from the first")

    def range_of(self, quantity: str = "") -> Range:
        return SHARES if quantity in ("clean", "attacked") else MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = counted(attacked.judged, self.among).nonzero().squeeze(1)[: self.count]
        last, parts = int(rows[-1]), list[tuple[torch.Tensor, torch.Tensor]]()
        for places, batch, tensors in placed_batches(attacked, BATCH_SIZE, "x_adv"):
            here = rows[(rows >= places.start) & (rows < places.stop)] - places.start
            parts.append((batch.x[here], tensors["x_adv"][here]))
            if places.stop > last:
                break
        x, x_adv = (torch.cat(images) for images in zip(*parts, strict=True))
        judged, (low, high) = attacked.judged.take(rows), attacked.clean.bounds
        delta = x_adv - x
        largest = delta.abs().amax((1, 2, 3), keepdim=True)
        change = (low + high) / 2 + (high - low) / 2 * delta / largest.where(largest > 0, 1.0)
        before, after = (confidences(model, images, judged.y) for images in (x, x_adv))
        captions = torch.stack([before, torch.full_like(before, torch.nan), after], dim=1)
        frames = torch.zeros_like(captions, dtype=torch.bool)
        frames[:, 0] = True
        shown = ImageGrid(torch.stack([x, change, x_adv], dim=1), captions, frames)
        return Scored(
            [
                mean(before, judged.unit, SHARES, quantity="clean"),
                mean(largest.flatten(), judged.unit, MAGNITUDES, quantity="change"),
                mean(after, judged.unit, SHARES, quantity="attacked"),
            ],
            shown.tensors(),
        )
