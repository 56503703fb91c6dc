"""Bootstrap replicates of means and quantiles over examples.

This module does not import torch unless it is handed tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from invspec.analysis.estimates import Estimate, Floats, average
from invspec.analysis.layers import generator
from invspec.analysis.quantiles import quantile, weighted_quantile
from invspec.analysis.repeats import Integers, Repeats, apart
from invspec.errors import InvspecError
from invspec.ops.types import REALS, SHARE_DIFFERENCES, SHARES, Range

# examples whose weights are drawn together
_BLOCK = 512

# values that fit into single precision, and how much they must differ beside the largest
_LARGEST, _SMALLEST = 1e30, 1e-3

# weights are integers with this mean, so that weighted counts are exact in float32
_MEAN_WEIGHT = 256

# weights (examples, replicates) that a quantile holds at a time: 32 MiB
_MAX_WEIGHTS = 2**22


@dataclass(frozen=True, eq=False)
class _Sample:
    """The outcomes of one number, values (N,) float64 and index (N,).

    possible lists the outcomes of a count, or of a share; half an example of each is added.
    is_count says that each outcome is counted, not measured.
    """

    values: Floats
    index: Integers
    range: Range
    name: int
    possible: tuple[float, ...]
    is_count: bool


@dataclass(frozen=True)
class Resampler:
    """Draws the bootstrap replicates of means and quantiles over examples.

    An example has the weight Exp(1) (the Bayesian bootstrap, Rubin 1981), seeded by its index
    alone. So samples that overlap are paired where they overlap, and the weights of any sample,
    scaled to sum 1, are Dirichlet(1, ..., 1). Pairs vary with their sources and, independently,
    with their targets, and the effects of both add (Owen 2007).

    A share also gets half an example of each outcome, 0 and 1, and a difference of shares half an
    example of each pair of two answers, with weights drawn for this number alone. The interval of
    a share is then Jeffreys', and eight equal outcomes do not give certainty. Means of measured
    values have a t interval's width for their number of units; a single unit tells nothing.
    """

    replicates: int = 2000
    seed: int = 0

    def means(
        self,
        values: Sequence[ArrayLike],
        index: Sequence[ArrayLike],
        within: Range = REALS,
    ) -> Estimate:
        """The mean over examples, then over seeds: values and index are an array (N,) per seed.

        Raises: InvspecError where a seed has no example.
        """
        return self.all_means([Repeats(values, index, range=within)])[0]

    def all_means(self, numbers: Sequence[Repeats]) -> list[Estimate]:
        """`means` of many numbers at once, as fast as one matrix product."""
        first = self._means_over_first(numbers)
        pairs = [number.second for number in numbers if number.second is not None]
        second = iter(self._means_over_first([apart(number) for number in pairs]))
        return [
            estimate if number.second is None else _added(estimate, next(second), number.range)
            for number, estimate in zip(numbers, first, strict=True)
        ]

    def quantile(self, number: Repeats) -> Estimate:
        """The quantile of a number over its examples, or over pairs; then over seeds."""
        assert number.level is not None, "a quantile without a level"
        second = None if number.second is None else apart(number.second)
        parts = [
            self._quantile(
                np.asarray(values, dtype=np.float64),
                [np.asarray(index), *([] if second is None else [np.asarray(second.index[seed])])],
                number.level,
            )
            for seed, (values, index) in enumerate(zip(number.values, number.index, strict=True))
        ]
        return average(parts)

    def _means_over_first(self, numbers: Sequence[Repeats]) -> list[Estimate]:
        if not numbers:
            return []
        samples = [list(_samples(number)) for number in numbers]
        estimates = iter(self._over_examples([sample for group in samples for sample in group]))
        return [average([next(estimates) for _ in group]) for group in samples]

    def unpaired(self, value: float, low: float, high: float, words: Sequence[int]) -> Estimate:
        """A number known only by its 95 % interval; it is paired with no other number.

        Its replicates are normal on either side of the value, with the spread that gives this
        interval back. words are integers >= 0 that identify it.
        """
        draws = generator(self.seed, 2, *words).standard_normal(
            self.replicates
        ) / NormalDist().inv_cdf(0.975)
        return Estimate(value, value + draws * np.where(draws < 0, value - low, high - value))

    def _over_examples(self, samples: Sequence[_Sample]) -> list[Estimate]:
        """The mean of each sample, with replicates over examples."""
        weighted = self._weighted_sums([(sample.values, sample.index) for sample in samples])
        # rows of one score share their index: sum its weights once
        places = [sample.index.tobytes() for sample in samples]
        distinct = dict(zip(places, (sample.index for sample in samples), strict=True))
        sums = self._weighted_sums([(np.ones(len(index)), index) for index in distinct.values()])
        weight = dict(zip(distinct, sums, strict=True))
        estimates: list[Estimate] = []
        for sample, total, place in zip(samples, weighted, places, strict=True):
            values, counts = self._half_examples(sample)
            point = sample.values.mean().item()
            replicates = (total + values) / (weight[place] + counts)
            replicates = self._widened(sample, point, replicates)
            estimates.append(
                Estimate(float(np.clip(point, *sample.range)), np.clip(replicates, *sample.range))
            )
        return estimates

    def _widened(self, sample: _Sample, point: float, replicates: Floats) -> Floats:
        """Replicates (R,) of a mean of measured values, as wide as a t interval.

        Half examples make those of a share wide enough, unless there is a single unit.
        """
        n = len(sample.values)
        if sample.is_count or (sample.possible and n > 1) or math.isinf(point):
            return replicates
        if n == 1:
            ends = np.asarray(sample.range)
            return ends[generator(self.seed, 6, sample.name).integers(0, 2, self.replicates)]
        return point + _widening(n) * (replicates - point)

    def _half_examples(self, sample: _Sample) -> tuple[Floats | float, Floats | float]:
        """What the half examples of a mean of counts add to weighted sum and total weight."""
        if not sample.possible:
            return 0.0, 0.0
        halves = _MEAN_WEIGHT * generator(self.seed, 3, sample.name).standard_gamma(
            0.5, (len(sample.possible), self.replicates)
        )
        return np.asarray(sample.possible) @ halves, halves.sum(axis=0)

    def _weighted_sums(self, rows: Sequence[tuple[Floats, Integers]]) -> Floats:
        """For each row of values (N,) and index (N,), the sum of weight times value: (rows, R)."""
        blocks = np.unique(np.concatenate([index for _, index in rows]) // _BLOCK)
        # single precision does, unless values hardly differ beside their size, or are beyond it
        kind = np.float32 if all(_fits(values) for values, _ in rows) else np.float64
        dense = np.zeros((len(rows), len(blocks), _BLOCK), dtype=kind)
        for row, (values, index) in zip(dense, rows, strict=True):
            assert len(np.unique(index)) == len(index), "duplicate example in a mean"
            row[np.searchsorted(blocks, index // _BLOCK), index % _BLOCK] = values
        sums = np.zeros((len(rows), self.replicates))
        for column, block in enumerate(blocks.tolist()):
            sums += dense[:, column] @ _example_weights(self.seed, block, self.replicates)
        return sums

    def _quantile(self, values: Floats, units: Sequence[Integers], level: float) -> Estimate:
        order = values.argsort(kind="stable")
        columns = max(1, _MAX_WEIGHTS // len(values))
        parts: list[Floats] = []
        for start in range(0, self.replicates, columns):
            part = slice(start, start + columns)
            weights = [self._weights(unit[order], part).astype(np.float64) for unit in units]
            parts.append(weighted_quantile(values[order], np.prod(weights, axis=0), level))
        return Estimate(quantile(values, level), np.concatenate(parts))

    def _weights(self, index: Integers, columns: slice) -> Floats:
        """The weights (N, M) of examples index (N,) in some of the replicates."""
        blocks = {
            block: _example_weights(self.seed, block, self.replicates)[:, columns]
            for block in np.unique(index // _BLOCK).tolist()
        }
        return np.stack([blocks[place // _BLOCK][place % _BLOCK] for place in index.tolist()])


def _fits(values: Floats) -> bool:
    """Whether sums of values (N,) in single precision tell them apart."""
    if not np.isfinite(values).all():
        return True
    largest, spread = np.abs(values).max(initial=0), np.ptp(values) if len(values) else 0
    return bool(largest < _LARGEST and (spread == 0 or spread > _SMALLEST * largest))


def _samples(number: Repeats) -> Iterator[_Sample]:
    """The outcomes of each seed; if all seeds have the same examples, their means over seeds."""
    arrays = [np.asarray(values) for values in number.values]
    index = [np.asarray(places, dtype=np.int64) for places in number.index]
    if not all(map(len, arrays)):
        raise InvspecError("a mean over zero examples")
    is_count = all(array.dtype.kind in "biu" for array in arrays)
    if all(np.array_equal(places, index[0]) for places in index):
        arrays, index = [np.stack(arrays).mean(axis=0, dtype=np.float64)], index[:1]
    for array, places in zip(arrays, index, strict=True):
        values = array.astype(np.float64)
        possible = _possible(number.range, is_count)
        yield _Sample(values, places, number.range, number.name, possible, is_count)


def _possible(within: Range, is_count: bool) -> tuple[float, ...]:
    """The possible outcomes of a share: 0 and 1, or a difference of two; () of other means."""
    if within == SHARES:
        return (0.0, 1.0)
    return (-1.0, 0.0, 0.0, 1.0) if within == SHARE_DIFFERENCES and is_count else ()


def _added(first: Estimate, second: Estimate, within: Range) -> Estimate:
    """The effects of two units on one number, added."""
    replicates = first.replicates + (second.replicates - second.point)
    return Estimate(first.point, np.clip(replicates, *within))


@cache
def _widening(n: int) -> float:
    """By how much a Bayesian bootstrap over n units is narrower than a t interval."""
    normal = NormalDist().inv_cdf(0.975)
    return float(stdtrit(n - 1, 0.975)) / normal * math.sqrt((n + 1) / (n - 1))


@lru_cache(maxsize=48)
def _example_weights(seed: int, block: int, replicates: int) -> Floats:
    """Weights (_BLOCK, R) of a block: 1, 2, ..., about exponential, with mean _MEAN_WEIGHT."""
    draws = generator(seed, 0, block).standard_exponential((_BLOCK, replicates), dtype=np.float32)
    return np.floor(draws * _MEAN_WEIGHT) + 1
