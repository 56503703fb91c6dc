"""Whether logits and gradients are finite at the images that an attack made."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from invspec.data import Finding
from invspec.diagnostics.broken import find_broken
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.kinds.check import Doubts


class FiniteAttacked(ImageCheck):
    """Logits and the gradients of the cross-entropy are finite at the attacked images."""

    about_attack: ClassVar[bool] = True
    about_images: ClassVar[bool] = True
    doubts: ClassVar[Doubts] = "everything"
    all_images: ClassVar[bool] = True

    def applies(self, attack: Attack) -> bool:
        return True

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        return find_broken(model, (chosen.x_adv,), chosen.batch.y, "at the attacked image")
