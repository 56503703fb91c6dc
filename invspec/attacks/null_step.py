"""A single step within what a two-layer net does not feel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, TwoLayer
from invspec.ops.draws import Draws
from invspec.ops.nullspace import alpha_max, effective_map, flips, project_held

SHORT = (
    1 - 1e-12
)  # of the way to the first flip, at which rounding would decide whether there is one
ROUNDING = 1e-12  # of a pre-activation, as a share of what it is the sum of
Constraint = (
    Literal["effective", "row_bound", "global_bound", "active_set"] | Annotated[Number, Field(ge=0)]
)


class NullStep(Attack):
    """x + alpha v_p: v_p is the displacement v to x_target less all that M feels, as one projection gives it.

    M holds the rows of the linear map that the net is while no ReLU flips, and rows of W1 whose hidden units are held
    as they are, so that none does. constraint says which, a being the pre-activations at x:

        effective     none: the map alone
        t, a number   those with |a_i| < t
        row_bound     those that could flip within ||d||, d being the step: |a_i| is less than ||W1_i||_inf ||d||_1 and
                      less than ||W1_i||_2 ||d||_2
        global_bound  the paper's: |a_i| < w ||d||_1 with w = max |W1_ij|
        active_set    those that do flip, added until none does: exact, with the fewest rows

    The bounds hold for v as for v_p, which may be longer than v in l1. alpha largest stops just short of where the
    first ReLU flips, and not beyond v_p. All this is done in float64, and asks the model nothing but its weights. Where
    no ReLU flips the logits stay as they are, to rounding; with clamp, only as far as pixels stay within their bounds,
    which for MNIST they do not.

    Needs batch.x_target (B, C, H, W) and a two-layer model. Returns x_adv (B, C, H, W).

    Deviates: the paper bounds ||W1 d||_1 by w ||d||_1, which is false; it is ||W1 d||_inf that is below, and that
    suffices. Rows may depend on each other here: a singular value decomposition takes the place of (M M')^-1. The paper
    absorbs biases; here they are part of a, and pixels alone move. The paper's step is neither clamped nor held to the
    displacement that its bound is for.
    """

    constraint: Constraint = Field(
        default="active_set",
        description="which hidden units are held: effective (none), a threshold t, row_bound, global_bound, active_set",
    )
    alpha: Literal["largest"] | Annotated[Number, Field(gt=0)] = Field(
        default=1.0,
        description="share of v_p that is gone, or largest: as far as no ReLU flips, at most 1",
    )
    clamp: bool = Field(
        default=True, description="keep pixels within their bounds, at the price of exactness"
    )

    @property
    def accepts(self) -> type | None:
        return TwoLayer

    @property
    def wants_target(self) -> bool:
        return True

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        weights = Weights.of(cast(TwoLayer, model))
        moved = torch.stack(
            [
                x + self.step(weights, x, goal).taken
                for x, goal in zip(*flattened(batch), strict=True)
            ]
        )
        x_adv = moved.view_as(batch.x).to(batch.x.dtype)
        return Perturbed.costing(
            x_adv.clamp(*batch.bounds) if self.clamp else x_adv, forwards=0, backwards=0
        )

    def step(self, weights: Weights, x: Tensor, x_target: Tensor) -> Step:
        """The step from x to x_target, both (D,) float64, before any clamp."""
        a = weights.w1 @ x + weights.b1
        v = x_target - x
        effective = effective_map(weights.w1, weights.w2, a > 0)
        v_p, held, basis = project_held(v, effective, weights.w1, self._to_hold(weights, a, v))
        change = (weights.w1 @ v_p).masked_fill(held, 0)  # which it is, but for rounding
        limit = alpha_max(a, change).item()
        alpha = min(1.0, SHORT * limit) if self.alpha == "largest" else self.alpha
        flipped = int(weights.flips(x, alpha * v_p).sum())
        return Step(v_p, alpha, limit, len(effective) + int(held.sum()), len(basis), flipped)

    def _to_hold(self, weights: Weights, a: Tensor, v: Tensor) -> Callable[[Tensor], Tensor]:
        """Which rows (h,) bool a displacement (D,) makes it necessary to hold."""
        reach = 1.0 if self.alpha == "largest" else self.alpha
        w1 = weights.w1

        def longest(v_p: Tensor, order: float) -> Tensor:
            return reach * torch.maximum(v.norm(order), v_p.norm(order))

        def within_row_bound(v_p: Tensor) -> Tensor:
            by_l1 = w1.abs().amax(1) * longest(v_p, 1)
            return a.abs() < torch.minimum(by_l1, w1.norm(dim=1) * longest(v_p, 2))

        match self.constraint:
            case "effective":
                return lambda v_p: torch.zeros_like(a, dtype=torch.bool)
            case "row_bound":
                return within_row_bound
            case "global_bound":
                return lambda v_p: a.abs() < w1.abs().max() * longest(v_p, 1)
            case "active_set":
                return lambda v_p: flips(a, reach * (w1 @ v_p))
            case threshold:
                return lambda v_p: a.abs() < threshold


@dataclass(frozen=True)
class Weights:
    """A two-layer net in float64: w1 (h, D), b1 (h,), w2 (K, h), b2 (K,)."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    @classmethod
    def of(cls, net: TwoLayer) -> Self:
        """The net's own."""
        found = (net.hidden_weight, net.hidden_bias, net.output_weight, net.output_bias)
        return cls(*(tensor.detach().double() for tensor in found))

    def logits(self, x: Tensor) -> Tensor:
        """x (D,) to logits (K,)."""
        return self.w2 @ (self.w1 @ x + self.b1).relu() + self.b2

    def flips(self, x: Tensor, d: Tensor) -> Tensor:
        """Which ReLUs (h,) x + d switches on or off, seen from x, both (D,), by more than rounding."""
        a, after = self.w1 @ x + self.b1, self.w1 @ (x + d) + self.b1
        rounding = ROUNDING * (self.w1.abs() @ (x.abs() + d.abs()) + self.b1.abs())
        return ((a > 0) != (after > 0)) & (after.abs() > rounding)


@dataclass(frozen=True)
class Step:
    """v_p (D,), how much of it is taken, and what is known of it.

    alpha_max: the multiple of v_p at which the first ReLU flips of those not held, which may be inf. rows: of M. rank:
    of M. sign_flips: ReLUs that really flip at alpha, held or not.
    """

    v_p: Tensor
    alpha: float
    alpha_max: float
    rows: int
    rank: int
    sign_flips: int

    @property
    def taken(self) -> Tensor:
        """alpha v_p, (D,)."""
        return self.alpha * self.v_p


def flattened(batch: Batch) -> tuple[Tensor, Tensor]:
    """x and x_target (B, D), float64."""
    return batch.x.double().flatten(1), batch.targets.double().flatten(1)
