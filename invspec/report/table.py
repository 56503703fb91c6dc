"""Tables as values: a layout, the numbers it shows, and the long form of all of them. Nothing here draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from invspec.analysis import readings
from invspec.analysis.claims import OUTCOMES, Outcome, Verdict
from invspec.analysis.readings import Estimator, Group, Number, Store
from invspec.errors import SpecError
from invspec.plan import coordinates
from invspec.plan.cells import Plan
from invspec.plan.layouts import arrange, is_in, layouts, upwards
from invspec.registry import cards
from invspec.report import payloads
from invspec.report.payloads import Picture
from invspec.spec.resolved import Spec
from invspec.spec.schema import PARTS, FigureKind, Layout, Scalar

Labels = tuple[Scalar | None, ...]
T = TypeVar("T")
MINUS = "\N{MINUS SIGN}"
ROUNDING = 1e-8
TRAINED = ("dataset", "model", "defence")
REMARKS: dict[FigureKind, str] = {
    "band": "bands from the lowest to the highest {edges}",
    "matrix": "above each matrix the mean of its cells{means}; grey cells have no value",
    "images": "below each image the {confidence} of its source, of a framed one in its own{bars}{only}",
    "regions": "areas are what points are taken for, circles have the colour of their class and are thick where they "
    "are taken for another{only}",
    "heatmap": "the sizes of a matrix's entries{only}",
}


@dataclass(frozen=True)
class Line:
    """A row of a table: the values of its row coordinates, None where it has none, and a number a column."""

    labels: Labels
    numbers: tuple[Number | None, ...]


@dataclass(frozen=True)
class Table:
    """One measure laid out. rows and columns name coordinates; headings gives those that have units with them.

    pictures are what scores kept for the figure, by what tells them apart. against has the same rows of another
    measure, for a plane. metric says what distances are, remark how the figure is to be read.
    """

    title: str
    about: str
    measure: str
    rows: tuple[str, ...]
    columns: str
    across: Labels
    lines: tuple[Line, ...]
    headings: Mapping[str, str]
    fixed: Mapping[str, Scalar]
    figure: FigureKind
    legend: str | None = None
    pictures: Mapping[Labels, Picture] = field(default_factory=dict[Labels, Picture])
    metric: str = ""
    remark: str = "95 % intervals"
    against: Table | None = None

    @property
    def numbers(self) -> list[Number]:
        """Every number that is there."""
        return [number for line in self.lines for number in line.numbers if number is not None]

    @property
    def is_share(self) -> bool:
        """Whether everything in it lies in [0, 1] and fills it: distances may be small, shares seldom all are."""
        return (
            all(number.low >= 0 and number.high <= 1 for number in self.numbers)
            and self._greatest > 0.5
        )

    @property
    def _greatest(self) -> float:
        return max((number.high for number in self.numbers), default=0.0)

    @property
    def decimals(self) -> int:
        """Digits after the point: three for shares; else as many as the interval in the middle has two of meaning."""
        halves = sorted(number.half for number in self.numbers if 0 < number.half < math.inf)
        if self.is_share or not halves:
            return 3
        return min(max(1 - math.floor(math.log10(halves[len(halves) // 2])), 0), 6)


def tables(planned: Plan, store: Store) -> tuple[Table, ...]:
    """A table for each layout, from what the store has."""
    return laid_out(planned, readings.groups(readings.collect(planned, store)), Estimator(), store)


def laid_out(
    planned: Plan, groups: Sequence[Group], estimator: Estimator, store: Store
) -> tuple[Table, ...]:
    """A table for each layout, from groups that have been read already.

    Raises SpecError where a figure cannot be drawn of what the measure kept, which shows only once it is there.
    """
    return tuple(
        _located(planned, number, layout, groups, estimator, store)
        for number, layout in enumerate(layouts(planned))
    )


def _located(
    planned: Plan,
    number: int,
    layout: Layout,
    groups: Sequence[Group],
    estimator: Estimator,
    store: Store,
) -> Table:
    try:
        return _table(planned, layout, groups, estimator, store)
    except SpecError as problem:
        raise planned.spec.source.locate(problem.within("report", number)) from None


# ─ tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(
    planned: Plan, layout: Layout, groups: Sequence[Group], estimator: Estimator, store: Store
) -> Table:
    shown = [group for group in groups if is_in(layout, group.coords)]
    rows, columns = arrange(planned, layout, [group.coords for group in shown])
    numbers = estimator.numbers(shown)
    across = tuple(dict.fromkeys(group.coords.get(columns) for group in shown))
    found: dict[Labels, dict[Scalar | None, Number | None]] = {}
    for group in shown:
        labels = tuple(group.coords.get(name) for name in rows)
        found.setdefault(labels, {})[group.coords.get(columns)] = numbers.get(group)
    against = (
        _table(planned, upwards(planned, layout, rows), groups, estimator, store)
        if layout.against
        else None
    )
    if (
        against is not None
        and against.numbers
        and not {line.labels for line in against.lines} & set(found)
    ):
        raise SpecError(
            f"no row of {layout.of} is one of {against.measure}",
            hint="fix its rows",
            path=("against",),
        )
    lines = tuple(
        Line(labels, tuple(row.get(place) for place in across)) for labels, row in _in_order(found)
    )
    pictures = payloads.pictures(layout.figure, shown, (*rows, columns), store)
    laid = Table(
        title=layout.title
        or f"{layout.of} under {' and '.join(planned.spec.entries['measures'][layout.of].of)}",
        about=about(planned.spec, layout.of),
        measure=layout.of,
        rows=rows,
        columns=columns,
        across=across,
        lines=lines,
        headings={name: heading(planned.spec, name) for name in (*rows, columns)},
        fixed=dict(layout.at),
        figure=layout.figure,
        legend=layout.legend,
        metric=metric(planned.spec, layout),
        pictures=pictures,
        remark=_remark(planned.spec, layout, rows, pictures.values()),
        against=against,
    )
    _check_band(laid)
    return laid


def _remark(spec: Spec, layout: Layout, rows: tuple[str, ...], pictures: Iterable[object]) -> str:
    several = len(spec.seeds) > 1
    bars = any(getattr(picture, "bars", None) is not None for picture in pictures)
    asked = spec.entries["measures"][layout.of].oracle is not None
    words = {
        "confidence": "oracle's confidence in the class" if asked else "confidence in the label",
        "bars": ", above it its logits" if bars else "",
        "edges": rows[-1] if rows else "",
        "means": ", which are means over seeds" if several else "",
        "only": "; of one seed" if several else "",
    }
    return REMARKS.get(layout.figure, "95 % intervals").format(**words)


def _check_band(one: Table) -> None:
    """Raises SpecError where bands cannot be drawn of the numbers that are there."""
    if one.figure != "band" or not one.numbers:
        return
    if len(one.across) < 2 or any(coordinates.number(place) is None for place in one.across):
        found = coordinates.listing({one.columns: one.across})
        raise SpecError(
            "a band runs along several numbers", hint=f"columns: {found}", path=("columns",)
        )
    if len({line.labels[-1:] for line in one.lines}) < 2:
        found = f"it has no lowest and highest {one.rows[-1]}" if one.rows else "it has no rows"
        raise SpecError(
            "a band has two edges",
            hint=f"the last of rows tells them apart; {found}",
            path=("rows",),
        )


def _in_order(found: Mapping[Labels, T]) -> list[tuple[Labels, T]]:
    """Lines sorted by their first label, then their second, each in the order in which the spec has them."""
    ranks = [list(dict.fromkeys(values)) for values in zip(*found, strict=True)]
    return sorted(
        found.items(),
        key=lambda line: [rank.index(label) for rank, label in zip(ranks, line[0], strict=True)],
    )


def about(spec: Spec, measure: str) -> str:
    """The summary on the card of a measure; nothing where it has none."""
    written = spec.source.values
    entry = written.get("measures", {}).get(measure) if isinstance(written, dict) else None
    name = entry.get("use", measure) if isinstance(entry, dict) else measure
    return cards.card("measure", name).summary if name in cards.names("measure") else ""


def metric(spec: Spec, layout: Layout) -> str:
    """Which distance a measure takes, if it takes one, and below what it counts, unless that is swept."""
    methods = [
        variant.method
        for variant in spec.entries["measures"][layout.of].variants
        if all(
            coordinates.same(value, layout.at.get(name, value))
            for name, value in variant.coords.items()
        )
    ]
    distances, most = (
        list(dict.fromkeys(getattr(method, name) for method in methods if hasattr(method, name)))
        for name in ("distance", "max_distance")
    )
    if not distances:
        return ""
    from invspec.perceptual.distances import (
        DISTANCES,
        describe,  # slow, but the measure has loaded it by now
    )

    told = [describe(name) if name in DISTANCES else str(name) for name in distances]
    limit = [f"max_distance {coordinates.shown(most[0])}"] if len(most) == 1 else []
    return ", ".join([" or ".join(told), *limit])


def heading(spec: Spec, name: str) -> str:
    """A coordinate with its unit."""
    unit_ = unit(spec, name)
    return f"{name} ({unit_})" if unit_ else name


def unit(spec: Spec, name: str) -> str:
    """The unit of a swept field, where it has one: degrees, or pixels of one kind or the other."""
    label, *steps = name.split(".")
    entries = (spec.entries[part].get(label) for part in PARTS)
    method: Any = next((entry.variants[0].method for entry in entries if entry is not None), None)
    if method is None or not steps:
        return ""
    for step in steps[:-1]:
        method = getattr(method, step, None)
    match steps[-1]:
        case "max_degrees":
            return "degrees"
        case "eps" | "step_size":
            standardised = getattr(method, "eps_space", "pixel") == "standardised"
            return "standardised pixels" if standardised else "pixels in [0, 1]"
        case "radius":
            return "l2, pixels in [0, 1]"
        case _:
            return ""


# ─ numbers as text ────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(value: float, decimals: int = 3) -> str:
    """A number with a real minus sign, and none before a zero."""
    if not math.isfinite(value):
        return (
            "\N{EN DASH}"
            if math.isnan(value)
            else "\N{INFINITY}"
            if value > 0
            else f"{MINUS}\N{INFINITY}"
        )
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def measured(value: float, decimals: int = 3) -> str:
    """A number as `plain` has it, but what rounding alone leaves with its power of ten: 3e-14."""
    return small(value) if 0 < abs(value) < ROUNDING else plain(value, decimals)


def small(value: float) -> str:
    """A number by its first digit and power of ten: 3e-14."""
    return f"{value:.0e}".replace("-", MINUS)


def parts(number: Number | None, decimals: int) -> tuple[str, str]:
    """A number and its uncertainty, the larger side of its interval: ("0.983", "±0.004"). A missing one is a dot.

    A star says that some of its seeds are missing. What describes the examples at hand, as a count of them does, has no
    uncertainty: ("270", ""). Where so many decimals would leave nothing of either, both have their power of ten:
    ("5e-06", "±2e-07").
    """
    if number is None:
        return "·", ""
    star = "*" if number.partial else ""
    if number.value and max(abs(number.value), number.half) < 0.5 * 10.0**-decimals:
        return small(number.value), (f"±{small(number.half)}" if number.half else "") + star
    if number.half == 0:
        whole = number.value == int(number.value)
        return f"{number.value:,.0f}" if whole else measured(number.value, decimals), star
    return measured(number.value, decimals), f"±{measured(number.half, decimals)}{star}"


def statistic(verdict: Verdict) -> tuple[str, str]:
    """What a claim was found to be and its interval: ("0.62", "0.58 to 0.66"); two dots where it is missing."""
    if verdict.value is None or verdict.low is None or verdict.high is None:
        return "·", ""
    return measured(verdict.value), interval(verdict.low, verdict.high)


def interval(low: float, high: float, decimals: int = 3) -> str:
    """An interval: 0.58 to 0.66."""
    return f"{measured(low, decimals)} to {measured(high, decimals)}"


def bound(verdict: Verdict) -> str:
    """What a claim wants, in words."""
    asked = verdict.claim.bound
    limits = {"above": asked.above, "below": asked.below}
    words = [f"{word} {short(limit)}" for word, limit in limits.items() if limit is not None]
    if asked.near is not None and asked.within is not None:
        words.append(f"within {short(asked.within)} of {short(asked.near)}")
    return " and ".join(words)


def short(value: float) -> str:
    """A number that somebody wrote: as few digits as it needs."""
    return f"{value:.6g}".replace("-", MINUS)


def merged(one: Table) -> list[list[str]]:
    """The row labels as texts; the leading ones that repeat those of the line above are left blank."""
    listed = [[coordinates.shown(label) for label in line.labels] for line in one.lines]
    blanked: list[list[str]] = []
    for above, labels in zip([[], *listed], listed, strict=False):
        same = next(
            (i for i, pair in enumerate(zip(above, labels, strict=False)) if pair[0] != pair[1]), 0
        )
        blanked.append([*[""] * same, *labels[same:]])
    return blanked


def caption(one: Table) -> str:
    """What stands below a table: what is fixed, what is behind the numbers, and what their marks mean."""
    fixed = [f"{name} {coordinates.shown(value)}" for name, value in one.fixed.items()]
    stars = ["* some seeds are missing"] if any(number.partial for number in one.numbers) else []
    distance = [one.metric] if one.metric else []
    return "; ".join(
        [*fixed, *distance, note(one.numbers), "± the larger side of the 95 % interval", *stars]
    )


def tally(verdicts: Sequence[Verdict]) -> list[tuple[Outcome, int, str]]:
    """How many claims came out how, and the word for it: (holds, 2, hold)."""
    counts = {
        outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in OUTCOMES
    }
    plural = {"holds": "hold", "fails": "fail"}
    words = {
        outcome: plural.get(outcome, outcome) if count > 1 else outcome
        for outcome, count in counts.items()
    }
    return [(outcome, counts[outcome], words[outcome]) for outcome in OUTCOMES if counts[outcome]]


def note(number: Iterable[Number]) -> str:
    """How many examples, if any, and seeds are behind numbers: n = 1,000, 3 seeds."""
    listed = list(number)
    if not listed:
        return "nothing computed yet"
    seeds = _span([one.seeds for one in listed])
    told = [f"n = {_span([one.n for one in listed])}"] if any(one.n for one in listed) else []
    return ", ".join([*told, f"{seeds} seed{'' if seeds == '1' else 's'}"])


def _span(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
