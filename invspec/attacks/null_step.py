"""A single step in directions that do not change the output of a two-layer net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, TwoLayer
from invspec.layers.two_layer import Weights, flattened
from invspec.ops.draws import Draws
from invspec.ops.nullspace import alpha_max, effective_map, flips, project_held
from invspec.search.search import Search

# Share of the way to the first flip; at the flip itself, rounding would decide.
JUST_BELOW = 1 - 1e-12
Constraint = (
    Literal["effective", "row_bound", "global_bound", "active_set"] | Annotated[Number, Field(ge=0)]
)


class NullStep(Attack):
    """x + alpha v_p, where v_p is the displacement to x_target projected onto the null space of M.

    M contains the rows of the net's linear map on the current activation pattern, and the rows of
    W1 of the hidden units that are held constant so that they do not flip. constraint selects these
    units; a denotes the pre-activations at x and d the step:

        effective     none
        t, a number   units with |a_i| < t
        row_bound     units that could flip within ||d||: |a_i| is less than ||W1_i||_inf ||d||_1
                      and less than ||W1_i||_2 ||d||_2
        global_bound  the paper's: |a_i| < w ||d||_1 with w = max |W1_ij|
        active_set    units that flip, added until none does: exact, with the fewest rows

    The bounds hold for v and for v_p, which may be longer than v in l1. With alpha largest, the
    step stops just before the first flip and never goes past v_p. Everything is computed in float64
    from the weights, without a pass through the model. Where no ReLU flips, the logits stay the
    same up to rounding; with clamp, only if no pixel leaves its bounds, which never happens on
    MNIST.

    Needs batch.x_target (B, C, H, W) and a two-layer model. Returns x_adv (B, C, H, W).

    Deviates: the paper bounds ||W1 d||_1 by w ||d||_1, which is false; the bound holds for
    ||W1 d||_inf, and that suffices. Rows may be linearly dependent here: a singular value
    decomposition replaces (M M')^-1. The paper absorbs biases; here they are part of a, and only
    pixels move. The paper's step is neither clamped nor limited to the displacement for which its
    bound holds.
    """

    constraint: Constraint = Field(
        default="active_set",
        description="hidden units to hold: effective (none), a threshold t, row_bound, "
        "global_bound, active_set",
    )
    alpha: Literal["largest"] | Annotated[Number, Field(gt=0)] = Field(
        default=1.0,
        description="multiple of v_p; largest: up to the first flip of a ReLU, at most 1",
    )
    clamp: bool = Field(
        default=True, description="clamp pixels to their bounds, which may change the logits"
    )

    @property
    def leaves_bounds(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return not self.clamp

    @property
    def accepts(self) -> type | None:
        return TwoLayer

    @property
    def wants_target(self) -> bool:
        return True

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        weights = Weights.of(cast(TwoLayer, model))
        images = [
            x + self.step(weights, x, x_target).delta
            for x, x_target in zip(*flattened(batch), strict=True)
        ]
        x_adv = torch.stack(images).view_as(batch.x).to(batch.x.dtype)
        return Search(model, batch).result(x_adv.clamp(*batch.bounds) if self.clamp else x_adv)

    def step(self, weights: Weights, x: Tensor, x_target: Tensor) -> Step:
        """The step from x to x_target, both (D,) float64, before any clamp."""
        a = weights.w1 @ x + weights.b1
        v = x_target - x
        # while no ReLU flips, the logits are W2 diag(a > 0) W1 x plus a constant
        effective = effective_map(weights.w1, weights.w2, a > 0)
        v_p, held, basis = project_held(v, effective, weights.w1, self._to_hold(weights, a, v))
        # held units do not change; masking removes their rounding errors
        change = (weights.w1 @ v_p).masked_fill(held, 0)
        limit = alpha_max(a, change).item()
        alpha = min(1.0, JUST_BELOW * limit) if self.alpha == "largest" else self.alpha
        flipped = int(weights.flips(x, alpha * v_p).sum())
        return Step(v_p, alpha, limit, len(effective) + int(held.sum()), len(basis), flipped)

    def _to_hold(self, weights: Weights, a: Tensor, v: Tensor) -> Callable[[Tensor], Tensor]:
        """Return a function from a displacement (D,) to a mask (h,) of units to hold."""
        reach = 1.0 if self.alpha == "largest" else self.alpha
        w1 = weights.w1

        def norm_bound(v_p: Tensor, order: float) -> Tensor:
            return reach * torch.maximum(v.norm(order), v_p.norm(order))

        def within_row_bound(v_p: Tensor) -> Tensor:
            # Hoelder's inequality for |W1_i d|, once for l1 and once for l2
            by_l1 = w1.abs().amax(1) * norm_bound(v_p, 1)
            return a.abs() < torch.minimum(by_l1, w1.norm(dim=1) * norm_bound(v_p, 2))

        match self.constraint:
            case "effective":
                return lambda v_p: torch.zeros_like(a, dtype=torch.bool)
            case "row_bound":
                return within_row_bound
            case "global_bound":
                return lambda v_p: a.abs() < w1.abs().max() * norm_bound(v_p, 1)
            case "active_set":
                return lambda v_p: flips(a, reach * (w1 @ v_p))
            case threshold:
                return lambda v_p: a.abs() < threshold


@dataclass(frozen=True)
class Step:
    """The step alpha v_p, with v_p (D,).

    alpha_max: the multiple of v_p at which the first ReLU that is not held flips, possibly inf.
    rows, rank: those of M. sign_flips: number of ReLUs that flip at alpha, held or not.
    """

    v_p: Tensor
    alpha: float
    alpha_max: float
    rows: int
    rank: int
    sign_flips: int

    @property
    def delta(self) -> Tensor:
        """alpha v_p, (D,)."""
        return self.alpha * self.v_p
