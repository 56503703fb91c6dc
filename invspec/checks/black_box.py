"""Whether attacks without gradients break images that withstand one with gradients."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.attacks.square import Square
from invspec.data import Finding
from invspec.diagnostics.balls import ball_of, has_ball
from invspec.diagnostics.findings import at_most, survivors_of
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.diagnostics.steps import random_signs
from invspec.kinds import Attack
from invspec.search.ball import Ball


class BlackBox(ImageCheck):
    """Attacks without gradients break no image that withstands an attack with gradients.

    Random points of the ball and, for norms linf and l2, Square are tried on the images that
    withstood the attack.
    """

    about_attack: ClassVar[bool] = True

    queries: int = Field(default=300, ge=1, description="queries of Square")
    draws: int = Field(default=16, ge=0, description="random points of the ball")
    threshold: float = Field(
        default=0.005, ge=0, lt=1, description="largest share of images that only these break"
    )

    def applies(self, attack: Attack) -> bool:
        return attack.gradient_loss is not None and has_ball(attack)

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        ball, flags = ball_of(attack, model, chosen.batch.bounds), chosen.standing.clone()
        survivors = chosen.survivors
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        noisy = self._withstand_noise(model, survivors, ball)
        standing = noisy.clone()
        standing[noisy] = self._withstand_square(model, survivors.take(noisy), ball)
        flags[chosen.standing] = ~standing
        broken, by_noise = int((~standing).sum()), int((~noisy).sum())
        return at_most(
            self.threshold,
            flags,
            f"{'noise breaks' if by_noise == broken else f'{self.queries} queries of square break'}"
            f" {broken} of the {len(survivors)} images that withstood the attack",
            "add `use: square`, or report autoattack",
            survivors_of(standing),
        )

    def _withstand_noise(self, model: nn.Module, chosen: Chosen, ball: Ball) -> Tensor:
        batch = chosen.batch
        standing = torch.ones_like(batch.y, dtype=torch.bool)
        for _ in range(self.draws):
            # the corners of an linf ball are its likeliest adversarial points
            noise = random_signs(batch.x, chosen.rng) * batch.x.new_tensor(2 * ball.eps)
            scale = noise if ball.unit is None else noise * ball.unit
            x_adv = ball.project(batch.x + scale, batch.x)
            standing &= logits_at(model, x_adv).argmax(1) == batch.y
        return standing

    def _withstand_square(self, model: nn.Module, chosen: Chosen, ball: Ball) -> Tensor:
        batch = chosen.batch
        standing = torch.ones_like(batch.y, dtype=torch.bool)
        if not len(batch) or ball.norm == "l1":
            return standing
        # in pixels; for a standardised ball, a smaller ball within it
        eps = ball.eps if ball.unit is None else ball.eps * ball.unit.min().item()
        square = Square(eps=eps, norm=ball.norm, queries=self.queries)
        x_adv = square.perturb(model, batch, chosen.rng).x_adv
        return logits_at(model, x_adv).argmax(1) == batch.y
