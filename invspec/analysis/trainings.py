"""Chance of training: how far a mean over seeds may be from the mean over all trainings.

The numbers of a report are pooled. A setting is what is measured: a measure, its attacks, a row.
All nets trained on data sets of one class share, in each setting, the variance between trainings;
its degrees of freedom are summed over the nets, if these vary alike. A net that varies more than
the pool keeps its own variance. Settings of the same net keep their correlation.

This module does not import torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

import numpy as np
from scipy.special import gammaincinv

from invspec.analysis.estimates import Floats
from invspec.analysis.layers import Layer, Part, generator


@dataclass(frozen=True, eq=False)
class Repetition:
    """A number of one net, measured once per training seed: values (S,).

    unit is the size in which numbers of different nets vary alike. Nets of the same block share
    their draws in each seed, so they are paired; a net without a block is paired with no other.
    """

    pool: Hashable
    net: str
    setting: Hashable
    measure: Hashable
    values: Floats
    seeds: tuple[int, ...]
    unit: float = 1.0
    block: str | None = None

    @property
    def deviations(self) -> Floats:
        """The deviations (S,) from the mean over seeds, in units; 0 if a value is infinite."""
        if not np.isfinite(self.values).all():
            return np.zeros(len(self.values))
        return (self.values - self.values.mean()) / self.unit


@dataclass(frozen=True, eq=False)
class Deviation:
    """Replicates (R,) of the deviation of a mean over seeds, t-distributed with df degrees."""

    replicates: Floats
    df: float


@dataclass(frozen=True)
class Chance:
    """Draws the deviations of means over seeds: replicates of them, from a seed."""

    replicates: int = 2000
    seed: int = 0

    def deviations(self, numbers: Sequence[Repetition]) -> list[Deviation | None]:
        """The deviation of each number; None where no net of its pool has several seeds."""
        pools: dict[Hashable, list[int]] = defaultdict(list)
        for place, number in enumerate(numbers):
            pools[number.pool].append(place)
        deviations: dict[int, Deviation | None] = {}
        for places in pools.values():
            members = [numbers[place] for place in places]
            deviations.update(zip(places, self._pooled(members), strict=True))
        return [deviations[place] for place in range(len(numbers))]

    def _pooled(self, numbers: Sequence[Repetition]) -> list[Deviation | None]:
        paired = _paired(numbers)
        deviations: dict[int, Deviation | None] = {}
        alone = [place for place in range(len(numbers)) if place not in paired]
        layer = Layer([_part(numbers[place]) for place in alone])
        for place in alone:
            deviations[place] = self._deviation(layer, _part(numbers[place]))
        deviations.update(self._blocked(numbers, paired))
        return [deviations[place] for place in range(len(numbers))]

    def _blocked(
        self, numbers: Sequence[Repetition], groups: dict[int, tuple[int, ...]]
    ) -> dict[int, Deviation | None]:
        """The deviations of paired nets: that of their mean, and their own from it."""
        common: dict[tuple[int, ...], Part] = {}
        own: dict[int, Part] = {}
        for group in set(groups.values()):
            parts = [_part(numbers[place]) for place in group]
            # differences of paired nets need one unit
            unit = float(np.mean([part.unit for part in parts]))
            scaled = [part.deviations * part.unit / unit for part in parts]
            mean, block = np.mean(scaled, axis=0), numbers[group[0]].block
            common[group] = replace(parts[0], net=f"{block}", deviations=mean, unit=unit)
            share = 1 - 1 / len(group)
            for place, part, deviations in zip(group, parts, scaled, strict=True):
                left = deviations - mean
                own[place] = replace(part, deviations=left, df=part.df * share, unit=unit)
        together, apart = Layer(list(common.values())), Layer(list(own.values()))
        return {
            place: _sum(
                self._deviation(together, common[group]),
                [self._deviation(apart, own[member]) for member in group],
                group.index(place),
            )
            for place, group in groups.items()
        }

    def _deviation(self, layer: Layer, part: Part) -> Deviation | None:
        df = layer.df[part.setting]
        if df <= 0:
            return None
        direction = layer.directions[layer.places[part.setting]]
        normal = direction @ _normals(self.seed, part.net, len(direction), self.replicates)
        size = part.unit * layer.spread[part.setting] * layer.excess[part.net, part.measure]
        heavy = _inverse_chi(self.seed, df, self.replicates)
        return Deviation(size / np.sqrt(len(part.deviations)) * normal * heavy, df)


def _sum(common: Deviation | None, own: Sequence[Deviation | None], place: int) -> Deviation | None:
    """The deviation of a paired net: the common one, and its own less the mean of all own ones."""
    if common is None:
        return None
    known = [deviation for deviation in own if deviation is not None]
    if len(known) < 2:
        return common
    mean = np.mean([deviation.replicates for deviation in known], axis=0)
    replicates = common.replicates + known[place].replicates - mean
    return Deviation(replicates, min(common.df, known[place].df))


def _part(number: Repetition) -> Part:
    deviations = number.deviations
    degrees = len(deviations) - 1.0
    return Part(number.net, number.setting, number.measure, deviations, degrees, number.unit)


def _paired(numbers: Sequence[Repetition]) -> dict[int, tuple[int, ...]]:
    """The places of the numbers that are paired, with those of the whole group.

    A group is the nets of one block in one setting; they are paired if they have the same seeds.
    """
    groups: dict[tuple[str, Hashable], list[int]] = defaultdict(list)
    for place, number in enumerate(numbers):
        if number.block is not None:
            groups[number.block, number.setting].append(place)
    return {
        place: tuple(group)
        for group in groups.values()
        if len(group) > 1 and len({numbers[place].seeds for place in group}) == 1
        for place in group
    }


@lru_cache(maxsize=64)
def _normals(seed: int, net: str, directions: int, replicates: int) -> Floats:
    """Normal draws (D, R) of a net."""
    word = int(sha256(net.encode()).hexdigest()[:15], 16)
    return generator(seed, 4, word).standard_normal((directions, replicates))


@lru_cache(maxsize=64)
def _inverse_chi(seed: int, df: float, replicates: int) -> Floats:
    """sqrt(df / chi-squared) (R,): normal draws times this are t-distributed.

    The chi-squared values are the quantiles at equal distances, in random order, because 2,000
    draws would leave the tails to chance.
    """
    levels = (generator(seed, 5).permutation(replicates) + 0.5) / replicates
    return np.sqrt(df / (2 * gammaincinv(df / 2, levels)))
