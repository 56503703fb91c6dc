"""The numbers of a report: means over seeds with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from invspec.analysis.estimates import Estimate
from invspec.analysis.intervals import AT_ONCE, RESAMPLER, interval, intervals
from invspec.analysis.readings import Group, Reading
from invspec.analysis.resampling import Repeats
from invspec.data import Interval, Outcomes
from invspec.tasks import draw_name


@dataclass(frozen=True)
class Summary:
    """A mean over seeds with its 95 % interval.

    n is the smallest number of units (examples or sources) of a seed; seeds is the number of
    computed seeds, planned_seeds that of the plan. doubts are the reasons for which the number is
    in doubt; low and high then are those of the hull.
    """

    value: float
    low: float
    high: float
    n: int
    seeds: int
    planned_seeds: int
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

    Estimates of groups are paired with one another.
    """

    estimates: dict[Group, Estimate] = field(default_factory=dict[Group, Estimate])
    known: dict[Reading, Interval] = field(default_factory=dict[Reading, Interval])

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
        for block in _blocks(means):
            repeats = [_repeats(group) for group in block]
            self.estimates.update(zip(block, RESAMPLER.all_means(repeats), strict=True))
        for group in new:
            if group not in self.estimates:
                self.estimates[group] = _single_estimate(group)

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
        """A summary of each group that has computed readings; one seed keeps its own interval."""
        self.prepare(group for group in groups if len(group.present) > 1)
        singles = (group.present for group in groups if len(group.present) == 1)
        self.intervals(reading for (reading,) in singles)
        return {group: self._summary(group) for group in groups if group.present}

    def _summary(self, group: Group) -> Summary:
        seeds, planned = len(group.present), len(group.readings)
        if seeds == 1:
            own = self.interval(group.present[0])
            return Summary(own.value, own.low, own.high, own.n, seeds, planned)
        estimate = self.estimates[group]
        n = min(_unit_count(reading) for reading in group.present)
        return Summary(estimate.point, *estimate.interval(), n, seeds, planned)


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


def _outcomes(reading: Reading) -> Outcomes:
    assert reading.row is not None, "the reading is not computed"
    assert reading.row.outcomes is not None, "the row has no outcomes"
    return reading.row.outcomes


def _unit_count(reading: Reading) -> int:
    """The number of independent units (examples or sources) behind a reading."""
    assert reading.row is not None, "the reading is not computed"
    own = reading.row.interval
    return own.n if own is not None else len(_outcomes(reading).index.unique())


def _single_estimate(group: Group) -> Estimate:
    """The estimate of a quantile, or of rows that have intervals but no outcomes."""
    return RESAMPLER.quantile(_repeats(group)) if _has_outcomes(group) else _unpaired(group)


def _repeats(group: Group) -> Repeats:
    outcomes = [_outcomes(reading) for reading in group.present]
    return Repeats(
        [seed.values for seed in outcomes],
        [seed.index for seed in outcomes],
        _seeds(group),
        _name(group.present[0]),
        outcomes[0].range,
        _level(group),
    )


def _unpaired(group: Group) -> Estimate:
    """An estimate from intervals alone.

    All seeds measured the same examples, so they share their draws.
    """
    name = _name(group.present[0])
    rows = [reading.row for reading in group.present if reading.row is not None]
    numbers = [interval(row) for row in rows]
    estimates = [
        RESAMPLER.unpaired(number.value, number.low, number.high, [name]) for number in numbers
    ]
    return RESAMPLER.over_seeds(estimates, _seeds(group))


def _seeds(group: Group) -> list[int]:
    return [int(reading.coords["seed"]) for reading in group.present]


def _name(reading: Reading) -> int:
    """An integer that identifies a number of the report, the same for all its seeds."""
    where = {} if reading.row is None else reading.row.where
    text = json.dumps([draw_name(reading.cell.goal), sorted(where.items())])
    return int(sha256(text.encode()).hexdigest()[:15], 16)
