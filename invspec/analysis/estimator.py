"""The numbers of a report: means over seeds with their intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256

import numpy as np

from invspec.analysis.estimates import Estimate, average
from invspec.analysis.intervals import AT_ONCE, RESAMPLER, interval, intervals, repeats
from invspec.analysis.readings import Group, Reading
from invspec.analysis.repeats import Repeats
from invspec.analysis.scopes import net_kind, net_name
from invspec.analysis.trainings import Chance, Deviation, Repetition
from invspec.data import Interval
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.tasks import draw_name, without_seed

CHANCE = Chance(RESAMPLER.replicates, RESAMPLER.seed)


@dataclass(frozen=True)
class Summary:
    """A mean over seeds with its 95 % interval.

    n is the smallest number of units (examples or sources) of a seed; seeds is the number of
    computed seeds, planned_seeds that of the plan. df are the degrees of freedom of the variance
    between trainings, None where the interval does not hold it. doubts are the reasons for which
    the number is in doubt; low and high then are those of the hull.
    """

    value: float
    low: float
    high: float
    n: int
    seeds: int
    planned_seeds: int
    df: float | None = None
    doubts: tuple[str, ...] = ()

    @property
    def margin(self) -> float:
        """The larger half-width of the interval."""
        return max(self.high - self.value, self.value - self.low)

    @property
    def is_partial(self) -> bool:
        """Whether some seeds are missing."""
        return self.seeds < self.planned_seeds


@dataclass(frozen=True)
class Estimator:
    """Estimates of groups and intervals of readings, computed many at once and cached.

    Estimates of groups are paired with one another. groups are all of the report: the variance
    between trainings is pooled over them. seeds_paired says that nets which differ only in their
    defence are paired seed by seed.
    """

    groups: Sequence[Group] = field(default_factory=list[Group])
    seeds_paired: bool = False
    estimates: dict[Group, Estimate] = field(default_factory=dict[Group, Estimate])
    known: dict[Reading, Interval] = field(default_factory=dict[Reading, Interval])

    @cached_property
    def deviations(self) -> Mapping[Group, Deviation]:
        """By how much the mean over seeds of each group may deviate, where that is known."""
        present = [group for group in self.groups if group.present]
        # no group of a single seed has a variance, and reading all values takes time
        if all(len(group.present) == 1 for group in present):
            return {}
        return self._deviations({group: self._repetition(group) for group in present})

    def _deviations(self, numbers: Mapping[Group, Repetition]) -> Mapping[Group, Deviation]:
        computed = zip(numbers, CHANCE.deviations(list(numbers.values())), strict=True)
        return {group: deviation for group, deviation in computed if deviation is not None}

    def estimate(self, group: Group) -> Estimate:
        """The mean over the computed seeds, with its replicates."""
        self.prepare([group])
        return self.estimates[group]

    def prepare(self, groups: Iterable[Group]) -> None:
        """Compute the estimates of groups that are not known yet."""
        new = [
            group
            for group in dict.fromkeys(groups)
            if group.present and group not in self.estimates
        ]
        means = [group for group in new if _has_outcomes(group) and _level(group) is None]
        over_examples: dict[Group, Estimate] = {}
        for block in _blocks(means):
            numbers = [self.repeats(group) for group in block]
            over_examples.update(zip(block, RESAMPLER.all_means(numbers), strict=True))
        for group in new:
            estimate = over_examples.get(group) or self._single_estimate(group)
            self.estimates[group] = self._with_trainings(group, estimate)

    def _with_trainings(self, group: Group, estimate: Estimate) -> Estimate:
        """The estimate with the chance of training; else a single reading keeps its interval."""
        deviation = self.deviations.get(group)
        if deviation is None:
            if len(group.present) != 1:
                return estimate
            own = self.interval(group.present[0])
            return replace(estimate, point=own.value, ends=(own.low, own.high))
        with np.errstate(invalid="ignore"):
            moved = np.clip(estimate.replicates + deviation.replicates, *group.present[0].range)
        return Estimate(estimate.point, moved, estimate.replicates, deviation.df)

    def _repetition(self, group: Group) -> Repetition:
        first = group.present[0]
        train = first.cell.goal.train
        values = np.array([reading.value for reading in group.present])
        return Repetition(
            pool=(type(train.dataset), net_kind(train)),
            net=self.net(group),
            setting=setting(first),
            measure=str(first.coords["measure"]),
            values=values,
            seeds=tuple(_seeds(group)),
            unit=_unit(float(values.mean()), first.range, first.unit_count),
            block=self.block(group),
        )

    # ─ what is drawn together ─────────────────────────────────────────────────────────────────

    def name(self, group: Group) -> str:
        """Text that names a number of the report: its own draws are seeded by it."""
        reading = group.present[0]
        where = {} if reading.row is None else reading.row.where
        return json.dumps([draw_name(reading.cell.goal), sorted(where.items())])

    def net(self, group: Group) -> str:
        """Text that names the net of a group; numbers of one net deviate together."""
        return net_name(without_seed(group.present[0].cell.goal.train))

    def block(self, group: Group) -> str | None:
        """Text that names the nets with which that of a group is paired seed by seed, if any."""
        if not self.seeds_paired:
            return None
        return draw_name(without_seed(group.present[0].cell.goal.train))

    def repeats(self, group: Group) -> Repeats:
        """The outcomes of each seed of a group that has some."""
        outcomes = [reading.outcomes for reading in group.present]
        return repeats(outcomes, _number(self.name(group)), _level(group))

    def _single_estimate(self, group: Group) -> Estimate:
        """The estimate of a quantile, or of rows that have intervals but no outcomes."""
        if _has_outcomes(group):
            return RESAMPLER.quantile(self.repeats(group))
        return _unpaired(group, _number(self.name(group)))

    # ─ intervals ──────────────────────────────────────────────────────────────────────────────

    def interval(self, reading: Reading) -> Interval:
        """The value of a computed reading with its interval."""
        return self.intervals([reading])[reading]

    def intervals(self, readings: Iterable[Reading]) -> dict[Reading, Interval]:
        """The values of the computed readings, with their intervals."""
        rows = {reading: reading.row for reading in readings if reading.row is not None}
        new = {reading: row for reading, row in rows.items() if reading not in self.known}
        self.known.update(zip(new, intervals(list(new.values())), strict=True))
        return {reading: self.known[reading] for reading in rows}

    def summaries(self, groups: Sequence[Group]) -> dict[Group, Summary]:
        """A summary of each group that has computed readings; one net keeps its own interval."""
        present = [group for group in groups if group.present]
        several = [group for group in present if self._varies(group)]
        self.prepare(several)
        self.intervals(group.present[0] for group in present if not self._varies(group))
        return {group: self._summary(group) for group in present}

    def _varies(self, group: Group) -> bool:
        return len(group.present) > 1 or group in self.deviations

    def _summary(self, group: Group) -> Summary:
        seeds, planned = len(group.present), len(group.readings)
        if not self._varies(group):
            own = self.interval(group.present[0])
            return Summary(own.value, own.low, own.high, own.n, seeds, planned)
        estimate = self.estimates[group]
        n = min(reading.unit_count for reading in group.present)
        df = self.deviations[group].df if group in self.deviations else None
        return Summary(estimate.point, *estimate.interval(), n, seeds, planned, df)


def _blocks(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups in blocks small enough for their replicates to fit into memory together."""
    block: list[Group] = []
    for group in groups:
        block.append(group)
        if sum(len(member.present) for member in block) >= AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _has_outcomes(group: Group) -> bool:
    rows = [reading.row for reading in group.present]
    return all(row is not None and row.outcomes is not None for row in rows)


def _level(group: Group) -> float | None:
    """The level of a quantile; None for a mean."""
    row = group.present[0].row
    return None if row is None else row.level


def setting(reading: Reading) -> Hashable:
    """What was measured: the measure, its attacks, its oracle and the row."""
    goal = reading.cell.goal
    attacks = tuple(
        (parts[0].attack, parts[0].before, parts[0].sample) for parts in goal.of if parts
    )
    oracle = None if goal.oracle is None else without_seed(goal.oracle)
    where = () if reading.row is None else tuple(sorted(reading.row.where.items()))
    return goal.measure, attacks, oracle, where


def _unit(value: float, within: Range, n: int) -> float:
    """The size in which a number varies between trainings, up to a factor.

    A share p varies like sqrt(p (1 - p)), and a length like itself.
    """
    if within == SHARES:
        share = (value * n + 0.5) / (n + 1)
        return math.sqrt(share * (1 - share))
    return value if within == MAGNITUDES and value > 0 and math.isfinite(value) else 1.0


def _unpaired(group: Group, name: int) -> Estimate:
    """An estimate from intervals alone, drawn by an integer that names it.

    All seeds measured the same examples, so they share their draws.
    """
    rows = [reading.row for reading in group.present if reading.row is not None]
    numbers = [interval(row) for row in rows]
    estimates = [
        RESAMPLER.unpaired(number.value, number.low, number.high, [name]) for number in numbers
    ]
    return average(estimates)


def _seeds(group: Group) -> list[int]:
    return [int(reading.coords["seed"]) for reading in group.present]


def _number(name: str) -> int:
    """An integer for a name."""
    return int(sha256(name.encode()).hexdigest()[:15], 16)
