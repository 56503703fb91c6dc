"""Bootstrap replicates of means and quantiles over examples and training seeds.

This module does not import torch unless it is handed tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from invspec.analysis.estimates import Estimate, Floats
from invspec.errors import InvspecError
from invspec.ops.types import REALS, SHARES, Range

Integers = NDArray[np.int64]

# examples whose weights are drawn together
_BLOCK = 512

# weights are integers with this mean, so that weighted counts are exact in float32
_MEAN_WEIGHT = 256

# weights (examples, replicates) that a quantile holds at a time: 32 MiB
_MAX_WEIGHTS = 2**22


@dataclass(frozen=True, eq=False)
class Repeats:
    """The outcomes of one number, measured once per training seed: values (N,) and index (N,).

    The number is the mean of each seed's outcomes, or their quantile at level; range holds the
    smallest and largest possible value. name is an integer unique to this number.
    """

    values: Sequence[ArrayLike]
    index: Sequence[ArrayLike]
    seeds: Sequence[int]
    name: int = 0
    range: Range = REALS
    level: float | None = None

    def __post_init__(self) -> None:
        assert len(self.values) == len(self.index) == len(self.seeds) > 0, (
            "expected values, index and seed for each training seed"
        )


@dataclass(frozen=True, eq=False)
class _Sample:
    """The outcomes of one number for one seed: values (N,) float64 and index (N,).

    possible lists the outcomes of a count; half an example of each is added.
    """

    values: Floats
    index: Integers
    range: Range
    name: tuple[int, int]
    possible: tuple[float, ...]


@dataclass(frozen=True)
class Resampler:
    """Draws the bootstrap replicates of means and quantiles over examples and training seeds.

    Examples and seeds are reweighted independently of each other, and the weight of an outcome is
    the product: the pigeonhole bootstrap (Owen 2007) in the form of Owen and Eckles (2012). An
    example has the weight Exp(1) (the Bayesian bootstrap, Rubin 1981), seeded by its index alone.
    So samples that overlap are paired where they overlap, and the weights of any sample, scaled to
    sum 1, are Dirichlet(1, ..., 1). The weights of S seeds are Dirichlet too, with the shape that
    makes the variance over seeds unbiased: s^2 / S.

    A mean of counts also gets half an example of each outcome, with weights drawn for this number
    alone: 0 and 1 for a share, each pair of two answers for a difference of shares. The interval of
    a single share is then Jeffreys', and eight equal outcomes do not give certainty.
    """

    replicates: int = 2000
    seed: int = 0

    def means(
        self,
        values: Sequence[ArrayLike],
        index: Sequence[ArrayLike],
        seeds: Sequence[int] = (),
        within: Range = REALS,
    ) -> Estimate:
        """The mean over examples, then over seeds: values and index are an array (N,) per seed.

        seeds are 0, 1, ... unless given. Raises: InvspecError where a seed has no example.
        """
        return self.all_means([Repeats(values, index, seeds or range(len(values)), range=within)])[
            0
        ]

    def all_means(self, numbers: Sequence[Repeats]) -> list[Estimate]:
        """`means` of many numbers at once, as fast as one matrix product."""
        if not numbers:
            return []
        per_seed = iter(self._over_examples([s for number in numbers for s in _samples(number)]))
        return [
            self.over_seeds([next(per_seed) for _ in number.seeds], number.seeds)
            for number in numbers
        ]

    def quantile(self, number: Repeats) -> Estimate:
        """The quantile of a number over its examples, or over pairs of sources; then over seeds."""
        assert number.level is not None, "a quantile without a level"
        parts = [self._quantile(sample, number.level) for sample in _samples(number)]
        return self.over_seeds(parts, number.seeds)

    def unpaired(self, value: float, low: float, high: float, words: Sequence[int]) -> Estimate:
        """A number known only by its 95 % interval; it is paired with no other number.

        Its replicates are normal on either side of the value, with the spread that gives this
        interval back. words are integers >= 0 that identify it.
        """
        draws = _generator(self.seed, 2, *words).standard_normal(
            self.replicates
        ) / NormalDist().inv_cdf(0.975)
        return Estimate(value, value + draws * np.where(draws < 0, value - low, high - value))

    def over_seeds(self, estimates: Sequence[Estimate], seeds: Sequence[int]) -> Estimate:
        """The mean over seeds, with replicates over examples and seeds."""
        if len(seeds) == 1:
            return estimates[0]
        replicates = np.stack([estimate.replicates for estimate in estimates])
        weights = _seed_weights(self.seed, tuple(seeds), self.replicates)
        point = float(np.mean([estimate.point for estimate in estimates]))
        return Estimate(point, (weights * replicates).sum(axis=0))

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
            replicates = (total + values) / (weight[place] + counts)
            point = sample.values.mean().item()
            estimates.append(
                Estimate(float(np.clip(point, *sample.range)), np.clip(replicates, *sample.range))
            )
        return estimates

    def _half_examples(self, sample: _Sample) -> tuple[Floats | float, Floats | float]:
        """What the half examples of a mean of counts add to weighted sum and total weight."""
        if not sample.possible:
            return 0.0, 0.0
        halves = _MEAN_WEIGHT * _generator(self.seed, 3, *sample.name).standard_gamma(
            0.5, (len(sample.possible), self.replicates)
        )
        return np.asarray(sample.possible) @ halves, halves.sum(axis=0)

    def _weighted_sums(self, rows: Sequence[tuple[Floats, Integers]]) -> Floats:
        """For each row of values (N,) and index (N,), the sum of weight times value: (rows, R)."""
        blocks = np.unique(np.concatenate([index for _, index in rows]) // _BLOCK)
        dense = np.zeros((len(rows), len(blocks), _BLOCK), dtype=np.float32)
        for row, (values, index) in zip(dense, rows, strict=True):
            assert len(np.unique(index)) == len(index), "duplicate example in a mean"
            row[np.searchsorted(blocks, index // _BLOCK), index % _BLOCK] = values
        sums = np.zeros((len(rows), self.replicates))
        for column, block in enumerate(blocks.tolist()):
            sums += dense[:, column] @ _example_weights(self.seed, block, self.replicates)
        return sums

    def _quantile(self, sample: _Sample, level: float) -> Estimate:
        order = sample.values.argsort(kind="stable")
        values, index = sample.values[order], sample.index[order]
        columns = max(1, _MAX_WEIGHTS // len(values))
        parts = [
            weighted_quantile(values, self._weights(index, slice(start, start + columns)), level)
            for start in range(0, self.replicates, columns)
        ]
        return Estimate(float(np.quantile(values, level)), np.concatenate(parts))

    def _weights(self, index: Integers, columns: slice) -> Floats:
        """The weights (N, M) of examples index (N,) in some of the replicates."""
        blocks = {
            block: _example_weights(self.seed, block, self.replicates)[:, columns]
            for block in np.unique(index // _BLOCK).tolist()
        }
        return np.stack([blocks[place // _BLOCK][place % _BLOCK] for place in index.tolist()])


def weighted_quantile(values: Floats, weights: Floats, level: float) -> Floats:
    """The quantile of sorted values (N,) under each column of weights (N, M): (M,).

    Interpolates linearly, so that equal weights give what numpy.quantile gives.
    """
    steps = (weights[1:].astype(np.float64) + weights[:-1]) / 2
    places = np.concatenate([np.zeros_like(steps[:1]), steps.cumsum(axis=0)])
    if len(values) == 1:
        return np.full(weights.shape[1], values[0])
    goal = level * places[-1]
    below = np.clip((places <= goal).sum(axis=0) - 1, 0, len(values) - 2)
    low, high = (np.take_along_axis(places, at[None], axis=0)[0] for at in (below, below + 1))
    return values[below] + (goal - low) / (high - low) * (values[below + 1] - values[below])


def _samples(number: Repeats) -> Iterator[_Sample]:
    for values, index, seed in zip(number.values, number.index, number.seeds, strict=True):
        array = np.asarray(values, dtype=np.float64)
        if not len(array):
            raise InvspecError("a mean over zero examples")
        yield _Sample(
            array,
            np.asarray(index, dtype=np.int64),
            number.range,
            (number.name, seed),
            _possible(np.asarray(values), number.range),
        )


def _possible(values: NDArray[Any], within: Range) -> tuple[float, ...]:
    """The possible outcomes if values (N,) are counts: 0 and 1, or a difference of two; else ()."""
    if within == SHARES and np.isin(values, (0, 1)).all():
        return (0.0, 1.0)
    if within == (-1.0, 1.0) and values.dtype.kind in "biu":
        return (-1.0, 0.0, 0.0, 1.0)
    return ()


def _generator(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


@lru_cache(maxsize=48)
def _example_weights(seed: int, block: int, replicates: int) -> Floats:
    """Weights (_BLOCK, R) of a block: 1, 2, ..., about exponential, with mean _MEAN_WEIGHT."""
    draws = _generator(seed, 0, block).standard_exponential((_BLOCK, replicates), dtype=np.float32)
    return np.floor(draws * _MEAN_WEIGHT) + 1


@lru_cache(maxsize=32)
def _seed_weights(seed: int, labels: tuple[int, ...], replicates: int) -> Floats:
    """Dirichlet weights (S, R) of training seeds, drawn from the labels of these seeds."""
    # variance s^2 / S over more than two seeds, 0.9 of it over two
    shape = max(len(labels) - 2, 0.1) / len(labels)
    draws = np.stack([_seed_draws(seed, label, replicates) for label in labels])
    weights = gammaincinv(shape, draws)
    return weights / weights.sum(axis=0)


@lru_cache(maxsize=256)
def _seed_draws(seed: int, label: int, replicates: int) -> Floats:
    """Uniform draws (R,) of a training seed, never 0 or 1, so that their quantiles are finite."""
    return _generator(seed, 1, label).uniform(1e-12, 1 - 1e-12, replicates)
