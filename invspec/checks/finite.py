"""Whether logits and gradients are finite."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import at_most, counted
from invspec.diagnostics.gradients import logits_and_slopes
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.diagnostics.steps import grey_level, moved, random_signs
from invspec.kinds import Attack
from invspec.kinds.check import Doubts
from invspec.ops.losses import cross_entropy


class Finite(ImageCheck):
    """Logits and the gradients of the cross-entropy are finite, at images and beside them.

    The images are also moved along random signs, once for each of `levels`.
    """

    doubts: ClassVar[Doubts] = "everything"
    all_images: ClassVar[bool] = True

    levels: tuple[float, ...] = Field(
        default=(0.5, 8.0, 64.0), description="lengths of random moves, in 1/255 of the pixel range"
    )

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        batch, unit = chosen.batch, grey_level(chosen.batch)
        moves = [
            moved(batch, random_signs(batch.x, chosen.rng), level * unit) for level in self.levels
        ]
        broken = [_is_broken(model, x, batch.y) for x in (batch.x, chosen.x_adv, *moves)]
        logits, slopes = (torch.stack(flags).any(0) for flags in zip(*broken, strict=True))
        where = "logits" if logits.any() else "input gradients"
        return at_most(
            0.0,
            logits | slopes,
            f"the {where} of {counted(logits if logits.any() else slopes)}"
            " are NaN or infinite, at the image or near it",
            "look for a division by 0, a log or a root in the net's forward pass",
        )


def _is_broken(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Whether logits and gradients of images x (B, C, H, W) are not finite, (B,) bool each."""
    logits, slopes = logits_and_slopes(model, cross_entropy, x, y)
    return ~logits.isfinite().all(1), ~slopes.isfinite().flatten(1).all(1)
