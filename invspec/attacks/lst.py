"""Level set traversal."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from invspec.data import Batch, PathPromise, Perturbed
from invspec.kinds import Confidence, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example
from invspec.ops.nullspace import project_out
from invspec.search.target_walk import TargetWalk, Walk


class LST(TargetWalk):
    """Walk from x towards x_target along the level set of the confidence, nudged upwards.

    A step is step_size * u - n. u is the displacement to the target without its component along J,
    the gradient of the cross-entropy of the label that the model predicts for x. Every step adds
    nudge / 2 * J to n and clips n to [-nudge, nudge]. A step that loses max_drop or more of the
    confidence at x is refused; n keeps growing, so that the next step may be accepted. With nudge
    0, an example stops at its first refusal.

    The walk starts at x + random_start * (U(0, 1) - 1/2) if that loses less than max_drop of the
    confidence, else at x.

    Needs batch.x_target (B, C, H, W). Returns x_adv (B, C, H, W) and, if keep_path, the path
    (T, B, C, H, W): x, the random start if there is one, and the image after each step.

    Deviates: the label is the predicted one; the paper's sources are correctly classified, so there
    it is also the true one. The authors do not check the confidence of the random start.
    """

    # Version 1 did not say how a walk ended.
    version: ClassVar[int] = 2

    step_size: Number = Field(default=0.01, gt=0, le=1, description="fraction of u in one step")
    steps: int = Field(default=400, ge=1, description="number of steps tried")
    max_drop: Confidence = Field(
        default=0.2, ge=0, le=1, description="largest loss of confidence along the walk"
    )
    strict: bool = Field(default=True, description="also refuse a loss of exactly max_drop")
    nudge: Pixels = Field(
        default=2e-3, ge=0, description="largest nudge per entry in one step; 0: none"
    )
    reset_nudge: bool = Field(default=False, description="restart the nudge from 0 after a refusal")
    random_start: Pixels = Field(
        default=4 / 255, ge=0, description="width of the noise added to x at the start; 0: none"
    )

    @property
    def most_steps(self) -> int:
        return self.steps

    @property
    def path_promise(self) -> PathPromise:
        return PathPromise(self.max_drop, longest_step=None, jumps=self.random_start > 0)

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        walk = Walk(self, model, batch)
        if self.random_start:
            noise = rng.uniform(tuple(batch.x.shape)).to(batch.x) - 0.5
            walk.jump(noise.mul_(self.random_start).add_(batch.x).clamp_(*batch.bounds))
        nudge = torch.zeros_like(batch.x)
        while walk.active:
            # the component of the displacement to the target that is tangent to the level set
            u = project_out(walk.x_target - walk.x, walk.gradient, "two_sided")
            x_new = u.mul_(self.step_size).add_(walk.x)
            if self.nudge:
                # J = -(1 - confidence) times the gradient of the log-odds.
                minus_j = walk.gradient * per_example(walk.doubt.to(u), u)
                nudge = (nudge - self.nudge / 2 * minus_j).clamp_(-self.nudge, self.nudge)
                x_new.sub_(nudge)
            accepted = walk.attempt(x_new)
            if self.nudge == 0:
                nudge = walk.narrow(accepted, nudge)
            elif self.reset_nudge:
                nudge = nudge.where(per_example(accepted, nudge), 0)
        return walk.result()
