"""A report as experiment trackers show it: a run for each net, and one for the report itself."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from invspec.analysis.claims import Verdict
from invspec.analysis.estimator import Summary
from invspec.analysis.readings import Artifacts, Reading
from invspec.data import Interval
from invspec.kinds import outline
from invspec.plan import coordinates
from invspec.plan.cells import Plan, net_words
from invspec.report import captions, provenance
from invspec.report.contents import Report
from invspec.report.curves import TRAINED, net_coordinates
from invspec.spec.schema import Coords, Scalar
from invspec.tasks import Train

# parts of a spec that are no settings
TEXTS = ("title", "paper", "claims", "report", "scales", "extends")


@dataclass(frozen=True)
class Run:
    """What a tracker shows of one net or of the report.

    params: settings by dotted names, with lists as text. metrics: numbers by name; the 95 %
    interval of `accuracy` is `accuracy/low` and `accuracy/high`. curves: a value for each epoch.
    """

    name: str
    params: Mapping[str, Scalar]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])


@dataclass(frozen=True)
class Study:
    """The runs of a report.

    summary: the means over seeds, the claims and the settings of the spec. nets: a run for each net
    of one seed. facts: title, verdicts and provenance as text.
    """

    name: str
    summary: Run
    nets: tuple[Run, ...]
    facts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """16 hex digits that stand for settings, numbers and curves: equal ones export once."""
        text = json.dumps(
            [self.name, asdict(self.summary), *map(asdict, self.nets)], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def study(report: Report, store: Artifacts) -> Study:
    """The runs of a report, with the training curves that the store holds."""
    means = report.health.summaries(report.estimator.groups, report.estimator)
    numbers = _metrics((group.coords, mean) for group, mean in means.items())
    settings = dict(_flat(_settings(report.plan)))
    summary = Run(report.plan.spec.name, settings, {**numbers, **_claims(report)})
    return Study(summary.name, summary, tuple(_nets(report, store)), _facts(report))


def _settings(plan: Plan) -> Mapping[str, Any]:
    values: Mapping[str, Any] = plan.spec.source.values
    return {
        name: value
        for name, value in values.items()
        if name not in TEXTS and not name.startswith("x-")
    }


def _facts(report: Report) -> dict[str, str]:
    made = report.provenance
    return {
        "title": report.plan.spec.title,
        "citation": provenance.citation(report.plan.spec),
        "size": captions.size(report.plan.spec),
        "command": made.command,
        "finished": made.finished,
        **{name: ", ".join(values) for name, values in made.versions.items()},
        **{
            f"claim {number}": f"{captions.outcome(verdict)}: {verdict.claim.says}"
            for number, verdict in enumerate(report.verdicts, 1)
        },
    }


def _claims(report: Report) -> dict[str, float]:
    """The statistic of each claim with the ends of its interval."""
    claims: dict[str, float] = {}
    for number, verdict in enumerate(report.verdicts, 1):
        claims |= _with_ends(f"claim {number}", verdict)
    return claims


# ─ nets ───────────────────────────────────────────────────────────────────────────────────────────


def _nets(report: Report, store: Artifacts) -> Iterator[Run]:
    """A run for each net that has numbers or curves."""
    plan, numbers = report.plan, report.health.intervals(report.readings, report.estimator)
    readings: dict[Train, list[Reading]] = defaultdict(list)
    for reading in report.readings:
        readings[reading.cell.goal.train].append(reading)
    for train, own in readings.items():
        coords = net_coordinates(own[0].cell)
        hidden = frozenset(coords)
        metrics = _metrics(((r.coords, numbers[r]) for r in own if r in numbers), hidden)
        curves = (store.load(train).curves or {}) if train in store else {}
        if metrics or curves:
            name = net_words(coords, plan.has_datasets)
            yield Run(name, _params(train, coords), metrics, curves)


def _params(train: Train, coords: Coords) -> dict[str, Scalar]:
    """The coordinates of a net, and the fields of what it was made of."""
    fields = {part: outline(getattr(train, part))["fields"] for part in TRAINED}
    return {**coords, **dict(_flat(fields))}


# ─ names ──────────────────────────────────────────────────────────────────────────────────────────


def _metrics(
    numbers: Iterable[tuple[Coords, Interval | Summary]], hidden: frozenset[str] = frozenset()
) -> dict[str, float]:
    """Numbers and the ends of their intervals, named by the coordinates that tell them apart."""
    by_measure: dict[str, list[tuple[Coords, Interval | Summary]]] = defaultdict(list)
    for coords, number in numbers:
        by_measure[str(coords["measure"])].append((coords, number))
    metrics: dict[str, float] = {}
    for measure, members in by_measure.items():
        varying = coordinates.varying((coords for coords, _ in members), but=hidden)
        for coords, number in members:
            parts = (
                f"{part} {coordinates.shown(coords[part])}" for part in varying if part in coords
            )
            metrics |= _with_ends("/".join([measure, *parts]), number)
    return metrics


def _with_ends(name: str, number: Interval | Summary | Verdict) -> dict[str, float]:
    """A number and the ends of its interval by name, as far as they are finite."""
    ends = {name: number.value, f"{name}/low": number.low, f"{name}/high": number.high}
    return {end: value for end, value in ends.items() if value is not None and isfinite(value)}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Scalar]]:
    """Nested settings by dotted names; a nested method is its class and its fields."""
    if not isinstance(value, dict):
        yield name, value if isinstance(value, str | int | float) else json.dumps(value)
    elif value.keys() == {"class", "fields"}:
        yield name, str(value["class"]).partition(":")[2]
        yield from _flat(value["fields"], name)
    else:
        for part, inner in value.items():
            yield from _flat(inner, f"{name}.{part}" if name else str(part))
