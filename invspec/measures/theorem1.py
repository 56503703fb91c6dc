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
from invspec.scoring.rows import estimated, exact, share

SHARES = ("p", "accuracy", "shifted_accuracy", "swapped_accuracy")
SAME = 1e-4  # difference of lengths that rounding may make
_Z = NormalDist().inv_cdf(0.975)


class Theorem1(Measure):
    """Whether a classifier f obeys the trade-off between a shift A and a swap r on `shuffled_gaussians`.

    Takes `mean_shift` (A) and `pair_swap` (r), in this order, on the same examples. A row for each quantity:

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

    p is the share among the examples themselves, not the data set's field, so that much of the sampling error cancels:
    sign_first has slack 0 to rounding. The four shares have Wilson intervals; what is computed from them has that of
    the delta method, which sees that they come from the same examples.

    Raises: InvspecError where the two attacks ran on different examples, or stand in the wrong order.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        shifted, swapped = examples
        if not torch.equal(shifted.judged["index"], swapped.judged["index"]):
            raise InvspecError(
                "theorem1 pairs two attacks on the same examples", hint="give both the same sample"
            )
        if not _moves_all_alike(shifted) and _moves_all_alike(swapped):
            raise InvspecError(
                "theorem1 is of the shift first, then of the swap", hint="turn the two around"
            )
        y = shifted.judged["y"]
        outcomes = torch.stack(
            [
                first_coordinate_tells(shifted),
                shifted.judged["prediction"] == y,
                shifted.judged["prediction_adv"] == y,
                swapped.judged["prediction_adv"] == y,
            ]
        )
        index = shifted.judged["index"]
        shares = [
            share(right, index, quantity=name) for name, right in zip(SHARES, outcomes, strict=True)
        ]
        numbers = derived(outcomes.double())
        rows = [estimated(*interval, len(y), quantity=name) for name, interval in numbers.items()]
        _, _, highest_slack = numbers["slack"]
        holds = exact(float(highest_slack >= 0), len(y), quantity="holds")
        return Scored([*shares, *rows, holds])


def _moves_all_alike(examples: Examples) -> bool:
    """Whether perturbations have one length, as a shift's have and a swap's have not."""
    lengths = examples.judged["linf"]
    return bool(lengths.max() - lengths.min() <= SAME)


def first_coordinate_tells(examples: Examples) -> Tensor:
    """Of which clean examples the sign of coordinate 0 is the class, (N,) bool."""
    signs = torch.cat([batch.x.flatten(1)[:, 0] > 0 for batch in examples.clean.batches(4096)])
    return signs.cpu() == (examples.judged["y"] == 1)


def quantities(shares: Tensor) -> dict[str, Tensor]:
    """What Theorem 1 says of p, a, b and P(f(rX) = Y), given as (4,)."""
    p, a, b, swapped = shares
    bound, left = p / (2 * (1 - p)), swapped + (2 * p - 1) / (2 * (1 - p)) * b
    lesser = torch.minimum(swapped, b)
    return {
        "swap_gap": swapped - (a + b) / 2,
        "error_slack": 1 - b - (1 - p) / p * a,
        "left": left,
        "bound": bound,
        "slack": bound - left,
        "lesser": lesser,
        "lesser_slack": p - lesser,
    }


def derived(outcomes: Tensor) -> dict[str, tuple[float, float, float]]:
    """The quantities, each with the ends of its 95 % interval by the delta method.

    outcomes (4, N) are paired, 0 or 1.
    """
    n = outcomes.shape[1]
    shares = outcomes.mean(dim=1)
    shares[0] = shares[0].clamp(
        1 / (2 * n), 1 - 1 / (2 * n)
    )  # few examples may all agree; the bound is then infinite
    values = quantities(shares)
    slopes = torch.autograd.functional.jacobian(
        lambda at: torch.stack(list(quantities(at).values())), shares
    )
    centred = outcomes - outcomes.mean(dim=1, keepdim=True)
    variances = (slopes @ centred).square().sum(dim=1) / (n * max(n - 1, 1))
    halves = [_Z * math.sqrt(variance) for variance in variances.tolist()]
    at = zip(values.items(), halves, strict=True)
    return {
        name: (value.item(), value.item() - half, value.item() + half) for (name, value), half in at
    }
