"""Whether attacks without gradients break images that withstand one with gradients."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.attacks.square import Square
from invspec.data import Finding
from invspec.diagnostics.ascent import withstand
from invspec.diagnostics.balls import ball_of, covers, has_ball
from invspec.diagnostics.findings import at_most, is_more_than, survivors_of
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.diagnostics.steps import random_signs
from invspec.kinds import Attack
from invspec.ops.losses import margin
from invspec.search.ball import Ball


class BlackBox(ImageCheck):
    """Attacks without gradients break no image that withstands an attack with gradients.

    Random points of the ball and, for norms linf and l2, Square are tried on the images that
    withstood the attack. An image that they break counts if it also withstands gradient ascent on
    the margin in the attack's ball.
    """

    # version 1 tried the ascent first, on all images
    version: ClassVar[int] = 2
    about_attack: ClassVar[bool] = True

    queries: int = Field(default=300, ge=1, description="queries of Square")
    steps: int = Field(default=80, ge=1, description="updates of the ascent on the margin")
    draws: int = Field(default=16, ge=0, description="random points of the ball")
    threshold: float = Field(
        default=0.03, ge=0, lt=1, description="largest share of images that only these break"
    )

    def applies(self, attack: Attack) -> bool:
        return attack.gradient_loss is not None and has_ball(attack)

    def is_answered_by(self, other: Attack, attack: Attack) -> bool:
        stages: tuple[Attack, ...] = getattr(other, "stages", (other,))
        squares = (stage for stage in stages if isinstance(stage, Square))
        return covers(other, attack) and any(square.queries >= self.queries for square in squares)

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        ball, survivors = ball_of(attack, model, chosen.batch.bounds), chosen.survivors
        flags = torch.zeros_like(chosen.standing)
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        noisy = self._withstand_noise(model, survivors, ball)
        standing = noisy.clone()
        standing[noisy] = self._withstand_square(model, survivors.take(noisy), ball)
        # on all images only if the check fails: on most nets Square breaks few
        climbed = torch.ones_like(standing)
        climbed[~standing] = self._withstand_ascent(model, survivors.take(~standing), ball)
        flags[chosen.standing] = broken = climbed & ~standing
        if is_more_than(self.threshold, flags):
            climbed[standing] = self._withstand_ascent(model, survivors.take(standing), ball)
        by_noise = not (broken & noisy).any()
        return at_most(
            self.threshold,
            flags,
            f"{'random noise' if by_noise else f'square with {self.queries} queries'} breaks"
            f" {int(broken.sum())} of {int(climbed.sum())} images that withstood attacks with"
            " gradients",
            "add `use: square`, or report autoattack",
            survivors_of(climbed & standing),
        )

    def _withstand_ascent(self, model: nn.Module, chosen: Chosen, ball: Ball) -> Tensor:
        batch = chosen.batch
        return withstand(model, batch, ball, batch.x, self.steps, margin)

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
