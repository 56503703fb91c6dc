"""Constructors of the rows that a measure returns; `where` keywords distinguish the rows.

Pairs that share a source or a target are not independent of each other. Their outcomes are put
together source by source, and target by target, and intervals vary both.

Every constructor of outcomes raises InvspecError where there are none, or one is not finite;
distances and quantiles may be infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from invspec.data import Interval, Judged, JudgedPairs, Outcomes, Row
from invspec.errors import InvspecError
from invspec.ops.types import MAGNITUDES, REALS, SHARES, Range

# ─ independent examples ───────────────────────────────────────────────────────────────────────


def share(outcomes: Tensor, index: Tensor, **where: str | float) -> Row:
    """The share of true outcomes (N,) bool among the examples index (N,), each of them once."""
    return Row(_outcomes(outcomes.bool(), _distinct(index), SHARES), where=where)


def mean(values: Tensor, index: Tensor, within: Range = REALS, **where: str | float) -> Row:
    """The mean of values (N,) of the examples index (N,), each of them once.

    within holds the least and largest possible mean: the number and its interval stay in it.
    """
    return Row(_outcomes(values, _distinct(index), within), where=where)


def mean_distance(values: Tensor, index: Tensor, **where: str | float) -> Row:
    """The mean of distances (N,) >= 0 of the examples index (N,); infinite if one of them is."""
    outcomes = _outcomes(values, _distinct(index), MAGNITUDES, may_be_infinite=True)
    return Row(outcomes, where=where)


def quantile(values: Tensor, units: Tensor | Judged, level: float, **where: str | float) -> Row:
    """The quantile of values (N,), which may be infinite, at a level in [0, 1].

    units is the index (N,) of the examples, for pairs of their sources; or the judged columns of
    the pairs, which name sources and targets.
    """
    source, target = _units(units)
    outcomes = _outcomes(values, source, REALS, may_be_infinite=True)
    second = None if target is None else replace(outcomes, index=target.long().cpu())
    return Row(replace(outcomes, second=second), level=level, where=where)


# ─ pairs ──────────────────────────────────────────────────────────────────────────────────────────


def mean_of_pairs(
    values: Tensor, units: Tensor | Judged, within: Range = REALS, **where: str | float
) -> Row:
    """The mean of values (P,) over pairs, with an outcome for each source and each target.

    units are the judged columns of the pairs, or the source (P,) alone, if targets are given and
    not drawn.
    """
    return _row_of_pairs(values, units, within, None, where)


def weighted_share_of_pairs(outcomes: Tensor, units: Tensor | Judged, weights: Tensor) -> Row:
    """The share of pairs with an outcome (P,) bool, weighted (P,), as `mean_of_pairs`."""
    return _row_of_pairs(outcomes.double(), units, SHARES, weights, {})


def share_of_pairs(outcomes: Tensor, units: Tensor | Judged, **where: str | float) -> Row:
    """The share of pairs with an outcome (P,), bool or in [0, 1], as `mean_of_pairs`."""
    return mean_of_pairs(outcomes.double(), units, SHARES, **where)


def by_source(
    values: Tensor, source: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Write a mean of values (P,) over pairs as one over their S sources: (S,) and index (S,).

    weights (P,) need not sum to 1; without them all pairs weigh the same. If all sources weigh the
    same, each entry is the mean over a source's pairs. Else it is the mean m over all pairs plus
    the source's contribution: S times the sum of its normalised weights times (value - m). The mean
    of the entries is exactly m, and its bootstrap over sources is that of the weighted mean, to
    first order.
    """
    share = torch.ones(len(values), dtype=torch.float64) if weights is None else weights.double()
    share = share / share.sum()
    index, place = source.unique(return_inverse=True)
    mean = (share * values.double()).sum()
    added = torch.zeros(len(index), dtype=torch.float64).index_add_(
        0, place, share * (values.double() - mean)
    )
    return mean + len(index) * added, index


def _row_of_pairs(
    values: Tensor,
    units: Tensor | Judged,
    within: Range,
    weights: Tensor | None,
    where: Mapping[str, str | float],
) -> Row:
    source, target = _units(units)
    outcomes = _outcomes(*by_source(values, source, weights), within)
    if target is not None:
        second = _outcomes(*by_source(values, target, weights), within)
        outcomes = replace(outcomes, second=second)
    return Row(outcomes, where=where)


def _units(units: Tensor | Judged) -> tuple[Tensor, Tensor | None]:
    """The unit of each pair, and its target where that adds to the chance of the number.

    Targets that are all different vary with the sources, and a single target is given.
    """
    if isinstance(units, Tensor):
        return units, None
    if not isinstance(units, JudgedPairs):
        return units.unit, None
    count = len(units.target.unique())
    return units.source, units.target if 1 < count < len(units.target) else None


# ─ numbers with intervals of their own ────────────────────────────────────────────────────────


def exact(value: float, n: int, **where: str | float) -> Row:
    """A number that describes n units at hand, such as their maximum, and has no uncertainty."""
    return Row(interval=Interval(value, value, value, n), where=where)


def estimated(value: float, low: float, high: float, n: int, **where: str | float) -> Row:
    """A number whose 95 % interval the measure computed itself, from n units."""
    return Row(interval=Interval(value, min(low, value), max(high, value), n), where=where)


def _distinct(index: Tensor) -> Tensor:
    """The index (N,). Raises InvspecError if an example occurs twice: then they are dependent."""
    if repeated := len(index) - len(index.unique()):
        raise InvspecError(
            f"expected an outcome for each example, found {repeated} more",
            hint="for pairs, use share_of_pairs or mean_of_pairs",
        )
    return index


def _outcomes(
    values: Tensor, index: Tensor, within: Range, *, may_be_infinite: bool = False
) -> Outcomes:
    if not len(values):
        raise InvspecError(
            "expected at least one example to measure, found none",
            hint="widen the sample, or `among` of the measure",
        )
    exact = values if not values.is_floating_point() else values.double()
    wrong = exact.isnan() if may_be_infinite else ~exact.isfinite()
    if wrong.any():
        raise InvspecError(
            f"{int(wrong.sum())} of {len(exact)} outcomes are infinite or NaN",
            hint="check that the model's logits are finite",
        )
    return Outcomes(exact.cpu(), index.long().cpu(), within)
