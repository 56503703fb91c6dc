"""Both sides of Theorem 1, measured on one classifier."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import ClassVar

import torch
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.contrast import MEAN
from invspec.ops.types import MAGNITUDES, REALS, SHARE_DIFFERENCES, SHARES, Range
from invspec.scoring.rows import estimated, exact, share

QUANTITIES = ("p", "accuracy", "shifted_accuracy", "swapped_accuracy")

RANGES: dict[str, Range] = {
    **dict.fromkeys((*QUANTITIES, "lesser", "holds"), SHARES),
    **dict.fromkeys(("swap_gap", "lesser_slack"), SHARE_DIFFERENCES),
    **dict.fromkeys(("bound", "shift_length", "shift_length_stated"), MAGNITUDES),
}

# difference between equal lengths that rounding may cause
LENGTH_ROUNDING = 1e-4

# images read at a time
BATCH_SIZE = 4096

# half-width of a 95 % interval, in standard errors
_Z = NormalDist().inv_cdf(0.975)


class Theorem1(Measure):
    """Whether a classifier f obeys the trade-off between a shift A and a swap r.

    Takes `mean_shift` (A) and `pair_swap` (r), in this order, on the same examples of
    `shuffled_gaussians`. A row for each quantity:

        p                 how often the sign of coordinate 0 is the class
        accuracy          a = P(f(X) = Y)
        shifted_accuracy  b = P(f(X + A) = Y)
        swapped_accuracy  P(f(rX) = Y)
        swap_gap          P(f(rX) = Y) - (a + b) / 2, of expectation 0
        error_slack       1 - b - a (1 - p) / p >= 0
        left              P(f(rX) = Y) + b (2p - 1) / (2 (1 - p))
        bound             p / (2 (1 - p))
        slack             bound - left >= 0
        lesser            min(P(f(rX) = Y), b)
        lesser_slack      p - lesser >= 0
        holds             1, or 0 where the whole interval of slack is below 0
        shift_length      ||A(x)||_inf of the example where it is farthest from 6 / sqrt(d)
        shift_length_stated   6 / sqrt(d), which is what it should be

    p is the share among these examples, not the data set's field, so that much of the sampling
    error cancels: sign_first has slack 0 up to rounding. The first four have Wilson intervals, the
    quantities computed from them delta-method intervals, which account for the shared examples.

    Raises: InvspecError where the two attacks ran on different examples, or are in the wrong order.
    """

    # version 1 had no lengths of the shift, 2 reported the largest
    version: ClassVar[int] = 3
    takes: ClassVar[tuple[int, int]] = (2, 2)
    wants_model: ClassVar[bool] = False

    def range_of(self, quantity: str = "") -> Range:
        return RANGES.get(quantity, REALS)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        shifted, swapped = examples
        same = torch.equal(shifted.judged.index, swapped.judged.index)
        if not (same and shifted.is_transformed_as(swapped)):
            raise InvspecError(
                "expected both attacks on the same examples, found different ones",
                hint="give both the same sample, and equal `before`",
            )
        if not _is_shift(shifted) and _is_shift(swapped):
            raise InvspecError(
                "expected mean_shift as the first attack, found pair_swap", hint="of: [shift, swap]"
            )
        outcomes = torch.stack(
            [
                first_coordinate_is_class(shifted),
                shifted.judged.correct,
                shifted.judged.correct_adv,
                swapped.judged.correct_adv,
            ]
        )
        index, n = shifted.judged.index, outcomes.shape[1]
        shares = [
            share(right, index, quantity=name)
            for name, right in zip(QUANTITIES, outcomes, strict=True)
        ]
        numbers = derived(outcomes.double())
        rows = [estimated(*ends, n, quantity=name) for name, ends in numbers.items()]
        _, _, highest_slack = numbers["slack"]
        holds = exact(float(highest_slack >= 0), n, quantity="holds")
        stated, linf = stated_length(coordinates(shifted)), shifted.judged.linf
        farthest = linf[(linf - stated).abs().argmax()].item()
        lengths = {"shift_length": farthest, "shift_length_stated": stated}
        exacts = [exact(length, n, quantity=name) for name, length in lengths.items()]
        return Scored([*shares, *rows, holds, *exacts])


def _is_shift(examples: Examples) -> bool:
    """Whether all perturbations have the same length: true of a shift, false of a swap."""
    lengths = examples.judged.linf
    return bool(lengths.max() - lengths.min() <= LENGTH_ROUNDING)


def coordinates(examples: Examples) -> int:
    """Number of coordinates of a point, 2 d + 1."""
    (point,) = examples.clean.head(1).batches(1)
    return point.x.numel()


def stated_length(coordinates: int) -> float:
    """The paper's ||A(x)||_inf = 6 / sqrt(d) for points of 2 d + 1 coordinates."""
    return 2 * MEAN / math.sqrt(coordinates // 2)


def first_coordinate_is_class(examples: Examples) -> Tensor:
    """Whether the sign of coordinate 0 is the class of each clean example, (N,) bool."""
    signs = torch.cat(
        [batch.x.flatten(1)[:, 0] > 0 for batch in examples.clean.batches(BATCH_SIZE)]
    )
    return signs.cpu() == (examples.judged.y == 1)


def quantities(shares: Tensor) -> dict[str, Tensor]:
    """The quantities of Theorem 1 from p, a, b and P(f(rX) = Y), given as (4,)."""
    p, a, b, swapped = shares
    # the two sides of the theorem's inequality
    bound, attained = p / (2 * (1 - p)), swapped + (2 * p - 1) / (2 * (1 - p)) * b
    lesser = torch.minimum(swapped, b)
    return {
        "swap_gap": swapped - (a + b) / 2,
        "error_slack": 1 - b - (1 - p) / p * a,
        "left": attained,
        "bound": bound,
        "slack": bound - attained,
        "lesser": lesser,
        "lesser_slack": p - lesser,
    }


def derived(outcomes: Tensor) -> dict[str, tuple[float, float, float]]:
    """The quantities, each with the ends of its 95 % interval by the delta method.

    outcomes (4, N) are paired, 0 or 1.
    """
    n = outcomes.shape[1]
    shares = outcomes.mean(dim=1)
    # if all examples agreed, the bound would be infinite
    shares[0] = shares[0].clamp(1 / (2 * n), 1 - 1 / (2 * n))
    values = quantities(shares)
    slopes = torch.autograd.functional.jacobian(
        lambda at: torch.stack(list(quantities(at).values())), shares
    )
    centred = outcomes - outcomes.mean(dim=1, keepdim=True)
    # delta method: the variance of a quantity is that of its linear part at the shares;
    # the covariance of the shares is that of paired outcomes over n
    variances = (slopes @ centred).square().sum(dim=1) / (n * max(n - 1, 1))
    halves = [_Z * math.sqrt(variance) for variance in variances.tolist()]
    return {
        name: (value.item(), value.item() - half, value.item() + half)
        for (name, value), half in zip(values.items(), halves, strict=True)
    }
