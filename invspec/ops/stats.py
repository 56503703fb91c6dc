"""Shares with their interval, and paired bootstrap estimates of everything that is computed from shares.

A number in a report is an `Estimate`: its value and R bootstrap replicates of it. The weights behind the replicates
belong to the examples and the seeds, not to the number, so that whatever was measured on the same examples moves
together, and a difference, a ratio, an area or a rank correlation of estimates is paired by mere arithmetic.

This module does not import torch unless it is handed tensors, so that a report can be drawn without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from invspec.errors import InvspecError

Floats = NDArray[np.floating]


_BLOCK = 512  # examples whose weights are drawn together


_GRAIN = (
    256  # weights are whole numbers with this mean, so that weighted counts are exact in float32
)


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share of n independent examples (Wilson 1927, without continuity correction).

    >>> tuple(round(end, 4) for end in wilson(0.0, 10))
    (0.0, 0.2775)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    below, above = ((centre + side * half) / (1 + z**2 / n) for side in (-1, 1))
    return max(0.0, min(below, share)), min(1.0, max(above, share))


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number and its bootstrap replicates (R,). Arithmetic with estimates of the same Resampler is paired."""

    point: float
    replicates: Floats

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval, stretched to its point. Replicates without a value (0 / 0) count as -inf and inf."""
        ends = (((1 - level) / 2, -np.inf), ((1 + level) / 2, np.inf))
        low, high = (
            np.quantile(
                np.nan_to_num(self.replicates, nan=worst, posinf=np.inf, neginf=-np.inf),
                q,
                method="nearest",
            )
            for q, worst in ends
        )
        return min(float(low), self.point), max(float(high), self.point)

    def __add__(self, other: Estimate | float) -> Estimate:
        return lift(lambda v: v[0] + v[1], self, other)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return lift(lambda v: v[0] - v[1], self, other)

    def __rsub__(self, other: float) -> Estimate:
        return lift(lambda v: v[1] - v[0], self, other)

    def __mul__(self, other: Estimate | float) -> Estimate:
        return lift(lambda v: v[0] * v[1], self, other)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        """The ratio; inf where only the denominator is 0, nan where both are."""
        return lift(lambda v: v[0] / v[1], self, other)

    __radd__, __rmul__ = __add__, __mul__


def lift(function: Callable[[Floats], Floats], *parts: Estimate | float) -> Estimate:
    """A function of L numbers, applied to estimates: values (L, M) to (M,), for the points and for each replicate."""
    sizes = {len(part.replicates) for part in parts if isinstance(part, Estimate)}
    assert len(sizes) == 1, f"estimates of different resamplers: {sorted(sizes)} replicates"
    (size,) = sizes
    columns = [
        np.append(part.point, part.replicates)
        if isinstance(part, Estimate)
        else np.full(1 + size, part)
        for part in parts
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = function(np.stack(columns))
    return Estimate(float(values[0]), values[1:])


def least(estimates: Sequence[Estimate]) -> Estimate:
    """The smallest of several numbers."""
    return lift(lambda v: v.min(axis=0), *estimates)


def greatest(estimates: Sequence[Estimate]) -> Estimate:
    """The largest of several numbers."""
    return lift(lambda v: v.max(axis=0), *estimates)


def magnitude(estimates: Sequence[Estimate]) -> Estimate:
    """The largest of several numbers without their signs."""
    return lift(lambda v: np.abs(v).max(axis=0), *estimates)


def average(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of several numbers."""
    return lift(lambda v: v.mean(axis=0), *estimates)


def area(estimates: Sequence[Estimate], at: Sequence[float]) -> Estimate:
    """Mean height of the profile through (at, estimates): its area by the trapezoid rule, divided by its width."""
    order = np.argsort(at)
    widths = np.diff(np.asarray(at, dtype=float)[order])
    assert widths.sum() > 0, f"a profile needs two different positions, found {list(at)}"
    return lift(
        lambda v: widths @ ((v[1:] + v[:-1]) / 2) / widths.sum(), *(estimates[i] for i in order)
    )


def spearman(positions: Sequence[float], estimates: Sequence[Estimate]) -> Estimate:
    """Rank correlation of the estimates with their positions, ties at their mean rank; 0 where either is constant."""
    x = _centred_ranks(np.asarray(positions, dtype=float)[:, None])

    def correlation(values: Floats) -> Floats:
        y = _centred_ranks(values)
        size = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
        return np.where(size == 0, 0, (x * y).sum(axis=0) / np.where(size == 0, 1, size))

    return lift(correlation, *estimates)


def _centred_ranks(values: Floats) -> Floats:
    """Twice the ranks within each column of (L, M), less their mean: how many are smaller, less how many are larger."""
    one, other = values[:, None], values[None, :]
    tied = np.isclose(
        one, other, rtol=1e-6, atol=1e-9
    )  # replicates carry the rounding of float32 sums
    return np.where(tied, 0, np.sign(one - other)).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was measured for one number: for each training seed its values (N,) and the examples' index (N,).

    name is a whole number that no other number has.
    """

    each: Sequence[ArrayLike]
    index: Sequence[ArrayLike]
    seeds: Sequence[int]
    name: int = 0

    def __post_init__(self) -> None:
        assert len(self.each) == len(self.index) == len(self.seeds) > 0, (
            "give values, index and seed, once per seed"
        )


@dataclass(frozen=True)
class Resampler:
    """Draws the bootstrap replicates of means over examples and training seeds.

    Examples and seeds are reweighted independently of each other, and a weight of the mean is their product: the
    pigeonhole bootstrap (Owen 2007) in the form of Owen and Eckles (2012). An example has the weight Exp(1) (the
    Bayesian bootstrap, Rubin 1981), drawn from its index alone, so that samples which overlap in part are paired in
    that part, and a sample's weights, brought to sum 1, are Dirichlet(1, ..., 1) whichever examples it has. S seeds
    have Dirichlet weights too, of the shape that makes the variance over seeds unbiased: s^2 / S.

    A share has half an example of each outcome besides, of its own: a single share's interval is then that of Jeffreys,
    and eight outcomes that are all alike do not pass for certainty.
    """

    replicates: int = 2000
    seed: int = 0

    def means(
        self, each: Sequence[ArrayLike], index: Sequence[ArrayLike], seeds: Sequence[int] = ()
    ) -> Estimate:
        """The mean over examples, then over seeds. each and index: an array (N,) per seed; seeds: 0, 1, ... if empty.

        Raises: InvspecError where a seed has no example.
        """
        return self.all_means([Outcomes(each, index, seeds or range(len(each)))])[0]

    def all_means(self, outcomes: Sequence[Outcomes]) -> list[Estimate]:
        """`means` of many numbers at once, as fast as one matrix product."""
        if not outcomes:
            return []
        rows = [pair for number in outcomes for pair in zip(number.each, number.index, strict=True)]
        names = [(number.name, seed) for number in outcomes for seed in number.seeds]
        per_seed = iter(self._over_examples(*zip(*rows, strict=True), names=names))
        return [
            self.over_seeds([next(per_seed) for _ in number.seeds], number.seeds)
            for number in outcomes
        ]

    def _over_examples(
        self,
        each: Sequence[ArrayLike],
        index: Sequence[ArrayLike],
        names: Sequence[tuple[int, int]],
    ) -> list[Estimate]:
        """The mean of each row of values, with replicates over examples."""
        values = [np.asarray(row, dtype=np.float32) for row in each]
        places = [np.asarray(row, dtype=np.int64) for row in index]
        if not all(len(row) for row in values):
            raise InvspecError("a mean over no examples")
        weighted = self._weighted_sums(values, places)
        weight = self._weighted_sums([np.ones_like(row) for row in values], places)
        for row, name in enumerate(names):
            if np.isin(values[row], (0, 1)).all():
                halves = _GRAIN * _generator(self.seed, 3, *name).standard_gamma(
                    0.5, (2, self.replicates)
                )
                weighted[row] += halves[0]
                weight[row] += halves.sum(axis=0)
        points = [row.mean(dtype=np.float64).item() for row in values]
        return [Estimate(*pair) for pair in zip(points, weighted / weight, strict=True)]

    def _weighted_sums(
        self, values: Sequence[Floats], places: Sequence[NDArray[np.int64]]
    ) -> Floats:
        """For each row of values (N,) at its places (N,), the sum over examples of weight times value: (rows, R)."""
        blocks = np.unique(np.concatenate(places) // _BLOCK)
        dense = np.zeros((len(values), len(blocks), _BLOCK), dtype=np.float32)
        for row, value, place in zip(dense, values, places, strict=True):
            assert len(np.unique(place)) == len(place), "an example is there twice"
            row[np.searchsorted(blocks, place // _BLOCK), place % _BLOCK] = value
        sums = np.zeros((len(values), self.replicates))
        for column, block in enumerate(blocks.tolist()):
            sums += dense[:, column] @ _example_weights(self.seed, block, self.replicates)
        return sums

    def unpaired(self, value: float, low: float, high: float, words: Sequence[int]) -> Estimate:
        """A number of which only its 95 % interval is known; whole numbers >= 0 name it, and it moves with no other.

        Its replicates are normal on either side of the value, of the spread that makes the interval theirs too.
        """
        draws = _generator(self.seed, 2, *words).standard_normal(
            self.replicates
        ) / NormalDist().inv_cdf(0.975)
        return Estimate(value, value + draws * np.where(draws < 0, value - low, high - value))

    def over_seeds(self, estimates: Sequence[Estimate], seeds: Sequence[int]) -> Estimate:
        """The mean over seeds, with replicates over examples and seeds."""
        if len(seeds) == 1:
            return estimates[0]
        shape = max(len(seeds) - 2, 0.1) / len(
            seeds
        )  # Dirichlet(shape): variance s^2 / S for S > 2, 0.9 of it for 2
        weights = gammaincinv(
            shape, np.stack([_seed_draws(self.seed, label, self.replicates) for label in seeds])
        )
        replicates = (weights * np.stack([one.replicates for one in estimates])).sum(
            axis=0
        ) / weights.sum(axis=0)
        return Estimate(float(np.mean([one.point for one in estimates])), replicates)


def _generator(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


@lru_cache(maxsize=48)
def _example_weights(seed: int, block: int, replicates: int) -> Floats:
    """Weights (_BLOCK, R) of the examples of a block: 1, 2, ..., nearly exponential with mean _GRAIN, never 0."""
    draws = _generator(seed, 0, block).standard_exponential((_BLOCK, replicates), dtype=np.float32)
    return np.floor(draws * _GRAIN) + 1


@lru_cache(maxsize=256)
def _seed_draws(seed: int, label: int, replicates: int) -> Floats:
    """Uniform draws (R,) that belong to a training seed, away from 0 and 1 so that their quantiles are finite."""
    return _generator(seed, 1, label).uniform(1e-12, 1 - 1e-12, replicates)
