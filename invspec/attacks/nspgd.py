"""Null space projected gradient descent."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, PathPromise, Perturbed
from invspec.kinds import Number
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example, size
from invspec.ops.nullspace import Projection, project_out, project_out_within
from invspec.ops.types import Bounds
from invspec.registry.fields import AttackField
from invspec.search.target_walk import TargetWalk, Walk

# Default step_size: the paper's for unit steps, that of the authors' code for fractions.
STEP_SIZE = {"unit": 0.01, "fraction": 0.05}
# Default steps in step_mode unit, as a multiple of those that lead straight to the target. Of
# one-sided walks on digits (MLP and CNN, with and without adversarial training), 28 to 81 % are on
# their way after the straight number, at most 4 % after twice as many, none after three times. With
# free_coordinates walks creep along the bounds: 25 to 75 % are on their way after four times.
DETOUR = 3
# Default steps in step_mode fraction, as in the authors' code: 0.6 % of a free distance is left.
STEPS = 100


class NSPGD(TargetWalk):
    """Walk from x towards x_target without losing confidence in the label that the model gives x.

    Each step goes along u, the displacement v to the target minus its component along the gradient
    of the confidence (Algorithm 1). step_mode unit moves by min(step_size, ||u||), step_mode
    fraction by step_size * u. A step that would lose more than max_drop of the confidence at x is
    refused, and the next step is half as long; after an accepted step, the length doubles, up to
    the full length. An example stops once `backtracks` halvings in a row were refused, or once u is
    no longer than rounding errors. By default a pair in step_mode unit has three times the steps
    that lead straight to its target, because a projected walk makes detours; ran_out says which
    walks were still on their way when their steps ran out.

    With a start, such as logit_space, the walk begins at the image that this attack finds if that
    loses at most max_drop of the confidence, else at x; label and confidence remain those of x.
    This first step may have any length.

    With free_coordinates, pixels at a bound that u would move beyond it are left out of v and of
    the gradient. Otherwise the clamp undoes their part of the projection, and so lowers the
    confidence.

    Needs batch.x_target (B, C, H, W). Returns x_adv (B, C, H, W) and, if keep_path, the path
    (T, B, C, H, W): x, the start if there is one, and the image after each step.

    Deviates: Algorithm 1 prints u = x_diff - c x_diff, which only rescales the step (projection
    printed); the text of 5.1 describes a projection. The paper stops at the first refusal
    (nspgd_text), and does not give the number of iterations. The paper's unit step has length
    step_size even where u is shorter, and then oscillates around the target; others use
    min(step_size, ||v||). The authors' code steps by fractions, lets x leave the pixel bounds and
    gives the model clamp(x) (nspgd_published); here, path and x_adv are clamp(x).
    """

    # Version 1 tried 1,000 steps by default, and did not say how a walk ended.
    version: ClassVar[int] = 2

    projection: Projection = Field(
        default="one_sided",
        description="when v loses its component along the gradient: one_sided, if that lowers the "
        "confidence; two_sided, always; none, never; printed, never, but v is lengthened",
    )
    step_mode: Literal["unit", "fraction"] = Field(
        default="unit", description="whether step_size is an l2 length or a fraction of u"
    )
    step_size: Number | None = Field(
        default=None,
        gt=0,
        description="size of one step; default: 0.01 in step_mode unit, 0.05 in fraction",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        description="number of steps tried; default: in step_mode unit, three times as many as "
        "lead straight from the start to the target of each pair; in fraction, 100",
    )
    backtracks: int = Field(
        default=5,
        ge=0,
        le=50,
        description="halvings in a row that may be refused; 0: stop at the first refusal",
    )
    start: AttackField | None = Field(
        default=None,
        description="attack whose result is the start of the walk; default: start at x",
    )
    clamp: Literal["iterate", "input"] = Field(
        default="iterate",
        description="clamp x at every step, or only the model's input and the result",
    )
    free_coordinates: bool = Field(
        default=False, description="project only over pixels that are not held at a bound"
    )

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.step_mode == "fraction" and self._length > 1:
            raise ValueError(
                f"step_size {self._length:g} overshoots the target; "
                "step_mode fraction takes at most 1"
            )
        if self.free_coordinates and self.clamp == "input":
            raise ValueError(
                "free_coordinates needs clamp iterate; with clamp input no pixel is held at a bound"
            )
        if self.free_coordinates and self.projection in ("none", "printed"):
            raise ValueError(
                "free_coordinates needs projection one_sided or two_sided; "
                f"found {self.projection}, which projects nothing"
            )
        if self.keep_path and self.most_steps is None:
            raise ValueError("keep_path needs steps, which limit the number of images on a path")
        return self

    def smoke(self) -> Self:
        """Two steps, for every distance."""
        few = super().smoke()
        return few if few.steps else few.model_copy(update={"steps": 2})

    @property
    def most_steps(self) -> int | None:
        return self.steps or (STEPS if self.step_mode == "fraction" else None)

    @property
    def accepts(self) -> type | None:
        return None if self.start is None else self.start.accepts

    @property
    def wants_generator(self) -> bool:
        return self.start is not None and self.start.wants_generator

    @property
    def path_promise(self) -> PathPromise:
        longest_step = self._length if self.step_mode == "unit" else None
        return PathPromise(self.max_drop, longest_step, jumps=self.start is not None)

    @property
    def _length(self) -> float:
        return STEP_SIZE[self.step_mode] if self.step_size is None else self.step_size

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        walk = Walk(self, model, batch, clamp_input=self.clamp == "input")
        if self.start is not None:
            start = self.start.perturb(model, batch, rng)
            walk.search.include(start)
            walk.jump(start.x_adv.to(batch.x))
        if self.most_steps is None:
            distance = size(walk.x_target - walk.x, "l2")
            walk.limit((DETOUR * distance / self._length).ceil().long().clamp_min(1))
        fraction = self.step_mode == "fraction"
        # share of the full step
        share = batch.x.new_ones(len(batch))
        while walk.active:
            u = self._displacement(walk, batch.bounds)
            length = size(u, "l2")
            moves = length > rounding(u)
            scale = self._length if fraction else (self._length / length).clamp_max_(1)
            accepted = walk.attempt(u.mul_(per_example(share * scale, u)).add_(walk.x))
            share = torch.where(accepted, (2 * share).clamp_max_(1), share / 2)
            # share below 2**-backtracks: the full step and `backtracks` halvings were refused
            share = walk.narrow(moves & (share * 2**self.backtracks >= 1), share)
        return walk.result()

    def _displacement(self, walk: Walk, bounds: Bounds) -> Tensor:
        """u (M, C, H, W), a new tensor."""
        v = walk.x_target - walk.x
        if self.free_coordinates:
            return project_out_within(v, walk.gradient, self.projection, walk.x, bounds)
        return project_out(v, walk.gradient, self.projection)


def rounding(u: Tensor) -> float:
    """The l2 length that u (B, ...) may have from the rounding of pixels alone."""
    return torch.finfo(u.dtype).eps * math.sqrt(u[0].numel())
