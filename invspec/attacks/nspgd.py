"""Null space projected gradient descent."""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example, size
from invspec.ops.nullspace import Projection, project_out, project_out_within
from invspec.ops.types import Bounds
from invspec.registry.fields import AttackField
from invspec.search.target_walk import Memory, Start, TargetWalk, Walkers

STEP_SIZE = {"unit": 0.01, "fraction": 0.05}


class NSPGD(TargetWalk):
    """Walk from x towards x_target without losing confidence in the label that the model predicts for x.

    Each step is u, the displacement v to the target less its part along the gradient of the confidence (Algorithm 1):
    a step of length min(step_size, ||u||) in step_mode unit, step_size * u in step_mode fraction. A step that would
    lose more than max_drop of the confidence at x is halved, a step that is taken doubled again up to the full size.
    An example stops for good where a step halved `backtracks` times is refused, and where u is no longer than
    rounding.

    With a start, say logit_space, the image that it finds is the first to be stepped to, if its confidence allows;
    label and confidence stay those of x. The step from x to it has any length.

    free_coordinates: a pixel that is at its bound and would be carried beyond it is left out of v and gradient. The
    clamp takes back such a pixel's part of the projection otherwise, and so lowers the confidence.

    Needs batch.x_target (B, C, H, W). Returns x_adv (B, C, H, W) and, if keep_path, the path (T, B, C, H, W).

    Deviates: Algorithm 1 prints u = x_diff - c x_diff, which only rescales the step (projection printed); the text of
    5.1 describes a projection. The paper stops at the first refusal, and there is no number of iterations in it. A
    unit step has length min(step_size, ||u||): the paper's is as long as step_size even where u is shorter, and then
    swings to and fro; others take min(step_size, ||v||). The authors' code walks by
    fractions, lets x leave the pixels' bounds and shows the model clamp(x) (nspgd_published); their path and x_adv are
    then clamp(x) here.
    """

    projection: Projection = Field(
        default="one_sided",
        description="of v: one_sided, remove what lowers the confidence; two_sided, what changes it; none; printed",
    )
    step_mode: Literal["unit", "fraction"] = Field(
        default="unit", description="step_size is a length in l2, or a share of u"
    )
    step_size: Number | None = Field(
        default=None,
        gt=0,
        description="size of one step; default: 0.01 in step_mode unit, 0.05 in fraction",
    )
    steps: int = Field(default=1000, ge=1, description="number of steps tried")
    backtracks: int = Field(
        default=5, ge=0, le=50, description="halvings of a refused step; 0: stop at once"
    )
    start: AttackField | None = Field(
        default=None, description="attack whose image is the first step; default: x"
    )
    clamp: Literal["iterate", "input"] = Field(
        default="iterate",
        description="keep x within the pixels' bounds, or only what the model sees and what returns",
    )
    free_coordinates: bool = Field(
        default=False, description="project among pixels that are not held at a bound"
    )

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.step_mode == "fraction" and self._length > 1:
            raise ValueError(
                f"a step of {self._length:g} of the way goes beyond; step_mode fraction takes at most 1"
            )
        if self.free_coordinates and self.clamp == "input":
            raise ValueError(
                "free_coordinates leaves out pixels at their bounds, and with clamp input none are held"
            )
        if self.free_coordinates and self.projection in ("none", "printed"):
            raise ValueError(
                f"free_coordinates changes what is projected, and projection {self.projection} is none"
            )
        return self

    @property
    def accepts(self) -> type | None:
        return None if self.start is None else self.start.accepts

    @property
    def _length(self) -> float:
        return STEP_SIZE[self.step_mode] if self.step_size is None else self.step_size

    def _start(self, model: nn.Module, batch: Batch, rng: Draws) -> Start | None:
        if self.start is None:
            return None
        found = self.start.perturb(model, batch, rng)
        return Start(found.x_adv.to(batch.x), found.forwards, found.backwards)

    def _outset(self, x: Tensor) -> Memory:
        return {"share": x.new_ones(len(x))}  # of the full step

    def _step(self, walkers: Walkers, bounds: Bounds) -> tuple[Tensor, Memory]:
        v, share = walkers.x_target - walkers.x, walkers.memory["share"]
        if self.free_coordinates:
            u = project_out_within(v, walkers.gradient, self.projection, walkers.x, bounds)
        else:
            u = project_out(v, walkers.gradient, self.projection)
        length = size(u, "l2")
        scale = (self._length / length).clamp_max_(1) if self.step_mode == "unit" else self._length
        x = u.mul_(per_example(share * scale, u)).add_(walkers.x)
        return x.clamp_(*bounds) if self.clamp == "iterate" else x, {
            "share": share,
            "moves": length > rounding(u),
        }

    def _settle(self, memory: Memory, accepted: Tensor) -> tuple[Memory, Tensor]:
        share = torch.where(accepted, (2 * memory["share"]).clamp_max_(1), memory["share"] / 2)
        return {"share": share}, memory["moves"] & (share * 2**self.backtracks >= 1)

    def _seen(self, x: Tensor, bounds: Bounds) -> Tensor:
        return x if self.clamp == "iterate" else x.clamp(*bounds)


def rounding(u: Tensor) -> float:
    """The length that u (B, ...) has in l2 where it would be 0 but for the rounding of pixels."""
    return torch.finfo(u.dtype).eps * math.sqrt(u[0].numel())
