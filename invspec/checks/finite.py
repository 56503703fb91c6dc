"""Whether logits and gradients are finite."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.broken import find_broken
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.diagnostics.steps import grey_level, moved, random_signs
from invspec.kinds import Attack
from invspec.kinds.check import Doubts


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
        return find_broken(model, (batch.x, *moves), batch.y, "at the image or near it")
