"""The variance between trainings, pooled over nets.

This module does not import torch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from invspec.analysis.estimates import Floats

# directions in which the settings of a net vary together
_MAX_DIRECTIONS = 32

# nets count as varying by different amounts if chance makes them differ so with this probability
_ALPHA = 0.05
# draws of the spread of variances that chance makes
_DRAWS = 4000


@dataclass(frozen=True, eq=False)
class Part:
    """The deviations (S,) of a net in a setting, in units, with their degrees of freedom."""

    net: str
    setting: Hashable
    measure: Hashable
    deviations: Floats
    df: float
    unit: float

    @property
    def squares(self) -> float:
        """The sum of squares of the deviations."""
        return float(self.deviations @ self.deviations)


class Layer:
    """One source of variation between trainings, pooled over nets.

    By setting: df, spread (the standard deviation) and directions (settings, D), unit vectors whose
    products are the correlations of the settings. By net and measure: excess, the factor by which a
    net varies more than the pool, at least 1.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        by_setting: dict[Hashable, list[Part]] = defaultdict(list)
        for part in parts:
            by_setting[part.setting].append(part)
        self.df = {setting: degrees(members) for setting, members in by_setting.items()}
        self.spread = {setting: _spread(members) for setting, members in by_setting.items()}
        self.places = {setting: place for place, setting in enumerate(by_setting)}
        self.directions = self._directions(parts)
        self.excess = self._excess(parts)

    def _directions(self, parts: Sequence[Part]) -> Floats:
        rows = {net: slice(start, stop) for net, start, stop in _rows(parts)}
        length = max((part.stop for part in rows.values()), default=0)
        # 0 where a net lacks a setting
        matrix = np.zeros((length, len(self.places)))
        for part in parts:
            if spread := self.spread[part.setting]:
                start = rows[part.net].start
                where = slice(start, start + len(part.deviations))
                matrix[where, self.places[part.setting]] = part.deviations / spread
        if not matrix.size:
            return np.zeros((len(self.places), 0))
        _, sizes, vectors = np.linalg.svd(matrix, full_matrices=False)
        loadings = (vectors * sizes[:, None])[:_MAX_DIRECTIONS].T
        norms = np.linalg.norm(loadings, axis=1, keepdims=True)
        return np.divide(loadings, norms, out=np.zeros_like(loadings), where=norms > 0)

    def _excess(self, parts: Sequence[Part]) -> dict[tuple[str, Hashable], float]:
        shares: dict[tuple[str, Hashable], list[float]] = defaultdict(list)
        for part in parts:
            spread = self.spread[part.setting]
            own = part.squares / part.df / spread**2 if part.df > 0 and spread else 1.0
            shares[part.net, part.measure].append(own)
        return {where: max(1.0, float(np.mean(own))) ** 0.5 for where, own in shares.items()}


def _spread(parts: Sequence[Part]) -> float:
    """The standard deviation of a setting, pooled over its nets."""
    total = sum(part.df for part in parts)
    return math.sqrt(sum(part.squares for part in parts) / total) if total > 0 else 0.0


def degrees(parts: Sequence[Part]) -> float:
    """The degrees of freedom of the variance of a setting, pooled over its nets.

    They add up over nets that vary alike. Where nets differ by more than chance, the few that vary
    most make up the pool: it then has the degrees of a sum of unequal variances (Satterthwaite
    1946), in steps of a half.
    """
    varied = [part for part in parts if part.df > 0]
    total = sum(part.df for part in varied)
    if len(varied) < 2 or not any(part.squares for part in varied):
        return total
    df = np.array([part.df for part in varied])
    squares = np.array([part.squares for part in varied])
    effective = float(_satterthwaite(df, squares[:, None])[0])
    if effective >= _least_by_chance(tuple(sorted(df.tolist()))):
        return total
    return min(total, max(0.5, math.floor(2 * effective) / 2))


def _satterthwaite(df: Floats, squares: Floats) -> Floats:
    """The degrees of freedom (M,) of pooled variances, from sums of squares (nets, M)."""
    variances = squares / df[:, None]
    return (df @ variances) ** 2 / (df @ variances**2)


@lru_cache(maxsize=64)
def _least_by_chance(df: tuple[float, ...]) -> float:
    """The least that `_satterthwaite` gives for nets that vary alike, but for a share _ALPHA."""
    column = np.array(df)
    draws = generator(len(df)).chisquare(column[:, None], size=(len(df), _DRAWS))
    return float(np.quantile(_satterthwaite(column, draws), _ALPHA))


def _rows(parts: Iterable[Part]) -> Iterable[tuple[str, int, int]]:
    """The rows [start, stop) of each net, one for each of its seeds."""
    lengths: dict[str, int] = {}
    for part in parts:
        lengths[part.net] = max(lengths.get(part.net, 0), len(part.deviations))
    start = 0
    for net, length in lengths.items():
        yield net, start, start + length
        start += length


def generator(*words: int) -> np.random.Generator:
    """A generator of its own for each sequence of integers >= 0."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
