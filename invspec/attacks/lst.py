"""Level set traversal."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Confidence, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example
from invspec.ops.nullspace import project_out
from invspec.ops.types import Bounds
from invspec.search.target_walk import Memory, Start, TargetWalk, Walkers


class LST(TargetWalk):
    """Walk from x towards x_target along the level set of the confidence, nudged to where it is higher.

    A step is step_size * u less a nudge: u is the displacement to the target without its part along the gradient J of
    the cross-entropy of the label that the model predicts for x; to the nudge nudge / 2 * J is added in every step,
    and every pixel of it cut off at +-nudge. A step that loses max_drop or more of the confidence at x is refused;
    the nudge still grows, so that the next one may be taken. Without a nudge the first refusal is the end.

    The walk sets out from x + random_start * (U(0, 1) - 1/2), if the confidence there allows, else from x.

    Needs batch.x_target (B, C, H, W). Returns x_adv (B, C, H, W) and, if keep_path, the path (T, B, C, H, W).

    Deviates: the label is the predicted one, which for the correctly classified sources of the paper is the true one.
    The authors do not judge the random start.
    """

    step_size: Number = Field(default=0.01, gt=0, le=1, description="share of u in one step")
    steps: int = Field(default=400, ge=1, description="number of steps tried")
    max_drop: Confidence = Field(
        default=0.2, ge=0, le=1, description="confidence that may be lost on the way"
    )
    strict: bool = Field(default=True, description="refuse a loss of exactly max_drop too")
    nudge: Pixels = Field(
        default=2e-3, ge=0, description="most that a pixel is nudged in one step; 0: not at all"
    )
    reset_nudge: bool = Field(default=False, description="begin the nudge anew after a refusal")
    random_start: Pixels = Field(
        default=4 / 255, ge=0, description="width of the noise on x; 0: set out from x"
    )

    def _start(self, model: nn.Module, batch: Batch, rng: Draws) -> Start | None:
        if self.random_start == 0:
            return None
        noise = rng.uniform(tuple(batch.x.shape)).to(batch.x) - 0.5
        return Start(noise.mul_(self.random_start).add_(batch.x).clamp_(*batch.bounds))

    def _outset(self, x: Tensor) -> Memory:
        return {"nudge": torch.zeros_like(x)}

    def _step(self, walkers: Walkers, bounds: Bounds) -> tuple[Tensor, Memory]:
        u = project_out(walkers.x_target - walkers.x, walkers.gradient, "two_sided")
        if self.nudge == 0:
            return u.mul_(self.step_size).add_(walkers.x).clamp_(*bounds), walkers.memory
        rising = walkers.gradient * per_example(walkers.doubt.to(u), u)  # -J
        nudge = (walkers.memory["nudge"] - self.nudge / 2 * rising).clamp_(-self.nudge, self.nudge)
        return u.mul_(self.step_size).add_(walkers.x).sub_(nudge).clamp_(*bounds), {"nudge": nudge}

    def _settle(self, memory: Memory, accepted: Tensor) -> tuple[Memory, Tensor]:
        if self.nudge == 0:
            return memory, accepted
        if self.reset_nudge:
            memory = {"nudge": memory["nudge"].where(per_example(accepted, memory["nudge"]), 0)}
        return memory, torch.ones_like(accepted)
