"""A walk at constant logits, or at a constant nuisance, from one sphere to the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Bijective, Number
from invspec.ops.draws import Draws
from invspec.ops.precise import in_double
from invspec.search.search import Search

# Halvings of the step in which a walk crosses the sphere: 2^-40 of a step is left.
HALVINGS = 40


class SphereWalk(Attack):
    """Move x through codes that keep one part of its own, until its length is that of the other
    sphere.

    With fixed logits, the points are F^-1(z_s(x), (1 - t) z_n(x) + t z_n(x_target)) for t from 0 to
    1: no classifier of the logits sees a change. With fixed nuisance they are
    F^-1((1 - t) z_s(x) + t z_s(x_target), z_n(x)), and no classifier of the nuisance sees one. A
    walk from a point shorter than (inner + outer) / 2 ends where its length first reaches outer,
    any other where it first falls to inner. The first of `steps` equal steps that crosses that
    length is halved until x_adv is on the sphere up to rounding. Walks that never cross it end at
    t = 1; `sphere_position` counts those that arrive.

    Walks go no further than the code of another point. Without that limit all of them arrive: if F
    is a homeomorphism, the codes that share one part with x are an unbounded set of points, so
    there are some of every length above that of x.

    Computed in float64, as metamers are; exact holds the points before rounding to float32. Needs a
    bijective model and batch.x_target (B, C, H, W). Returns x_adv and exact (B, C, H, W).
    """

    needs_float32: ClassVar[bool] = True
    leaves_bounds: ClassVar[bool] = True

    fixed: Literal["logits", "nuisance"] = Field(
        default="logits", description="the part of the code that stays: logits or nuisance"
    )
    inner: Number = Field(default=1.0, ge=0, description="radius of the inner sphere")
    outer: Number = Field(default=10.0, gt=0, description="radius of the outer sphere")
    steps: int = Field(default=50, ge=1, description="equal steps in which a crossing is sought")

    @model_validator(mode="after")
    def _one_in_the_other(self) -> Self:
        if self.inner >= self.outer:
            raise ValueError(f"expected inner < outer, found {self.inner:g} and {self.outer:g}")
        return self

    @property
    def accepts(self) -> type:
        return Bijective

    @property
    def wants_target(self) -> bool:
        return True

    @property
    def gradient_loss(self) -> None:
        return None

    @torch.no_grad()
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, net = Search(model, batch), cast(Bijective, in_double(model))
        search.passed(forwards=2)
        start, goal = (net.encode(x.double()) for x in (batch.x, batch.targets))

        def at(t: Tensor) -> Tensor:
            """The points (B, C, H, W) at t (B,)."""
            search.passed(forwards=1)
            semantic, nuisance = (
                (1 - t[:, None]) * own + t[:, None] * others
                for own, others in zip(start, goal, strict=True)
            )
            if self.fixed == "logits":
                return net.decode(start[0], nuisance)
            return net.decode(semantic, start[1])

        # float64: lengths of points that are on a sphere already must not count as crossings
        upwards = lengths(batch.x.double()) < (self.inner + self.outer) / 2
        exact = at(self._first_crossing(at, upwards))
        return replace(search.result(exact.to(batch.x.dtype)), exact=exact)

    def _first_crossing(self, at: Callable[[Tensor], Tensor], upwards: Tensor) -> Tensor:
        """The t (B,) at which each walk first reaches its sphere; 1 where it does not."""

        def crossed(t: Tensor) -> Tensor:
            length = lengths(at(t))
            return torch.where(upwards, length >= self.outer, length <= self.inner)

        ones = torch.ones_like(upwards, dtype=torch.float64)
        grid = [crossed(ones * k / self.steps) for k in range(1, self.steps + 1)]
        arrived = torch.stack([*grid, torch.ones_like(upwards)])
        # the first vertex beyond the sphere, and the one before it
        high = (arrived.to(torch.int8).argmax(0) + 1).double() / self.steps
        low = high - 1 / self.steps
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = crossed(middle)
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        return torch.where(arrived[:-1].any(0), high, ones)


def lengths(x: Tensor) -> Tensor:
    """The l2 length of each x (B, C, H, W): (B,)."""
    return x.flatten(1).norm(dim=1)
