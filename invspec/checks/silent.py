"""Whether an attack passes by adversarial images and returns others."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.balls import has_ball
from invspec.diagnostics.findings import at_most, survivors_of
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.ops.proxy import ModelProxy


class Silent(ImageCheck):
    """An attack that returns its last image has not met a misclassified one before.

    Such an attack, here PGD with one restart, runs once more on the images that withstood it, while
    the logits of its intermediate images are watched.
    """

    about_attack: ClassVar[bool] = True
    gates: ClassVar[bool] = False

    threshold: float = Field(
        default=0.005, ge=0, lt=1, description="largest share of images broken only on the way"
    )

    def applies(self, attack: Attack) -> bool:
        return attack.keeps_last and has_ball(attack)

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        survivors, flags = chosen.survivors, torch.zeros_like(chosen.standing)
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        watched = Watched(model, survivors.batch.y)
        x_adv = attack.perturb(watched, survivors.batch, survivors.rng).x_adv
        # an image that is broken at the end of this run owes it to chance, not to silence
        standing = logits_at(model, x_adv).argmax(1) == survivors.batch.y
        flags[chosen.standing] = passed = watched.broken & standing
        return at_most(
            self.threshold,
            flags,
            f"{int(passed.sum())} of the {len(survivors)} images that withstood the attack were"
            " misclassified on its way",
            "raise restarts: with several, the attack judges its images; or use apgd",
            survivors_of(~passed),
        )


class Watched(ModelProxy):
    """A net that remembers which examples, with labels y (B,), it has misclassified, (B,) bool."""

    def __init__(self, net: nn.Module, y: Tensor) -> None:
        super().__init__(net)
        self.y, self.broken = y, torch.zeros_like(y, dtype=torch.bool)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        logits: Any = self.net(x)
        self.broken |= logits.argmax(1) != self.y
        return logits
