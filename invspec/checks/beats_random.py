"""Whether a step along the gradient beats steps in random directions."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import MISLEADING, at_most, counted
from invspec.diagnostics.gradients import margins, margins_and_slopes
from invspec.diagnostics.image_check import Chosen
from invspec.diagnostics.step_check import StepCheck
from invspec.diagnostics.steps import moved, random_signs
from invspec.kinds import Attack


class BeatsRandom(StepCheck):
    """A step along the signs of the gradient raises the margin more than steps of random signs.

    All steps have one length. Of the lengths, that at which the gradient wins most often counts.
    """

    draws: int = Field(default=16, ge=1, description="random steps of each image")
    threshold: float = Field(
        default=0.1, ge=0, lt=1, description="largest share of images where a random step wins"
    )

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        batch = chosen.batch
        before, slopes = margins_and_slopes(model, batch.x, batch.y)
        signs = [random_signs(batch.x, chosen.rng) for _ in range(self.draws)]

        def is_beaten(length: float) -> Tensor:
            def reached(direction: Tensor) -> Tensor:
                return margins(model, moved(batch, direction, length), batch.y)

            best = torch.stack([reached(direction) for direction in signs]).amax(0)
            ahead = reached(slopes)
            # a tie is no defeat: a net may depend on one pixel, which some random step moves, too
            return ~((ahead >= best) & (ahead > before))

        flags = self.fewest(batch, is_beaten)
        return at_most(
            self.threshold,
            flags,
            f"for {counted(flags)} a step along the gradient is no better than the best of"
            f" {self.draws} random steps",
            MISLEADING,
        )
