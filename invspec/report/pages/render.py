"""The report as one page that needs nothing beside it, and its figures as files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from invspec.analysis.claims import Verdict
from invspec.analysis.coordinates import shown
from invspec.analysis.readings import Reading
from invspec.errors import InvspecError
from invspec.report import figures, provenance, table
from invspec.report.export import Report
from invspec.report.provenance import Provenance, duration
from invspec.report.table import Table
from invspec.tasks import key

WIDTH = 240.0  # of a gauge, in its own units


BREAK = "\N{ZERO WIDTH SPACE}"  # where a long heading may be broken


MOST_RECORDS = 2_000  # on the page


def write(whole: Report, folder: Path) -> Path:
    """Write folder/index.html and folder/figures/*.png with an SVG each. Raises InvspecError where that fails."""
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, panels in _named(whole.tables, "{}"):
            figures.write(panels, folder / "figures" / f"{name}.png")
        for name, panels in _named(whole.trainings, "training"):
            figures.write(panels, folder / "figures" / f"{name}.png")
        page.write_text(text(whole), encoding="utf-8")
    except OSError as problem:
        raise InvspecError(
            f"cannot write {page}: {problem.strerror}", hint="choose another --output"
        ) from None
    return page


def _named(tables: Iterable[Table], pattern: str) -> Iterator[tuple[str, list[Table]]]:
    """Figures and the names of their files: of the first measure, and a number where several have the same."""
    counts: Counter[str] = Counter()
    for panels in figures.together(tables):
        name = pattern.format(panels[0].measure)
        counts[name] += 1
        yield name + (f"-{counts[name]}" if counts[name] > 1 else ""), panels


def text(whole: Report) -> str:
    """The page."""
    spec = whole.plan.spec
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2").render(
        spec=spec,
        citation=provenance.citation(spec),
        tally=table.tally(whole.verdicts),
        missing=whole.missing,
        total=len(whole.plan.cells),
        claims=[_claim(verdict) for verdict in whole.verdicts],
        tables=list(_tables(whole.tables, "figure")),
        trainings=[one for one in _tables(whole.trainings, "training") if one["svg"]],
        colours={figures.variable(light): dark for light, dark in _dark(whole)},
        facts=list(_facts(whole.provenance)),
        command=whole.provenance.command,
        text=provenance.spec_text(spec),
        records=[_record(reading) for reading in whole.readings[:MOST_RECORDS]],
        cut=len(whole.readings) > MOST_RECORDS,
    )


# ─ claims ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Gauge:
    """An interval beside the range in which it should lie, as places from 0 to WIDTH."""

    least: float
    wide: float
    low: float
    value: float
    high: float
    published: float | None


def gauge(verdict: Verdict) -> Gauge | None:
    """The picture of a verdict, on an axis that holds the interval, the bound and the published number."""
    if (
        verdict.value is None
        or verdict.low is None
        or verdict.high is None
        or not math.isfinite(verdict.value)
    ):
        return None
    marks = [verdict.low, verdict.high, verdict.value, *verdict.bound, verdict.published]
    start, end = _domain(mark for mark in marks if mark is not None)

    def place(value: float) -> float:
        return round(WIDTH * min(max((value - start) / (end - start), 0), 1), 2)

    least, most = map(place, verdict.bound)
    published = None if verdict.published is None else place(verdict.published)
    wide = round(most - least, 2)
    return Gauge(
        least, wide, place(verdict.low), place(verdict.value), place(verdict.high), published
    )


def _domain(marks: Iterable[float]) -> tuple[float, float]:
    finite = [mark for mark in marks if math.isfinite(mark)]
    margin = 0.18 * (max(finite) - min(finite)) or 0.5
    return min(finite) - margin, max(finite) + margin


def _claim(verdict: Verdict) -> dict[str, Any]:
    value, interval = table.statistic(verdict)
    return {
        "says": verdict.claim.says,
        "source": verdict.claim.source,
        "outcome": verdict.outcome,
        "statistic": verdict.statistic,
        "value": value,
        "interval": interval,
        "asked": table.bound(verdict),
        "published": None if verdict.published is None else table.short(verdict.published),
        "lacking": verdict.lacking,
        "gauge": gauge(verdict),
        "words": f"{verdict.statistic} {value}, 95 % interval {interval}, asked {table.bound(verdict)}",
    }


# ─ tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _dark(whole: Report) -> Iterable[tuple[str, str]]:
    return figures.dark_colours([*whole.tables, *whole.trainings]).items()


def _tables(tables: Sequence[Table], prefix: str) -> Iterator[dict[str, Any]]:
    """What the page says of each table, a figure with the first of those that share one."""
    together = enumerate(figures.together(tables))
    drawn = {
        id(panels[0]): figures.inline(panels, f"{prefix}{place}") for place, panels in together
    }
    return (_table(one, drawn.get(id(one))) for one in tables)


def _table(one: Table, drawn: str | None) -> dict[str, Any]:
    return {
        "title": one.title,
        "about": one.about,
        "measure": one.measure,
        "svg": None if drawn is None else Markup(drawn),  # matplotlib has escaped the texts in it
        "remark": one.remark if one.figure in table.REMARKS else "",
        "rows": [one.headings[name].replace(".", f".{BREAK}") for name in one.rows],
        "across_name": one.headings[one.columns],
        "across": [shown(place) or "none" for place in one.across],
        "lines": list(_lines(one)),
        "note": table.caption(one),
    }


def _lines(one: Table) -> Iterator[tuple[list[str], list[tuple[str, str, str]]]]:
    for labels, line in zip(table.merged(one), one.lines, strict=True):
        intervals = [
            ""
            if number is None
            else f"{table.interval(number.low, number.high, one.decimals)}, n = {number.n:,}"
            for number in line.numbers
        ]
        texts = [table.parts(number, one.decimals) for number in line.numbers]
        yield labels, [(*pair, words) for pair, words in zip(texts, intervals, strict=True)]


# ─ provenance ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _facts(facts: Provenance) -> Iterator[tuple[str, str]]:
    yield "tasks", f"{facts.done:,} of {facts.tasks:,} computed"
    yield "seeds", ", ".join(map(str, facts.seeds))
    yield "precision", f"searched in {facts.precision}, judged in float32"
    if facts.bits:
        yield "batch size", facts.bits
    if facts.total:
        shares = ", ".join(f"{kind} {duration(seconds)}" for kind, seconds in facts.seconds.items())
        yield "time", f"{duration(facts.total)} of work: {shares}"
    for name, values in facts.versions.items():
        yield name, ", ".join(values)
    if facts.finished:
        yield "last finished", facts.finished


def _record(reading: Reading) -> dict[str, str]:
    row = reading.row
    cell = ", ".join(f"{name} {shown(value)}" for name, value in reading.coords.items())
    numbers = {"value": "·", "interval": "", "n": ""}
    if row is not None:
        numbers = {
            "value": table.plain(row.value, 4),
            "interval": table.interval(row.low, row.high, 4),
            "n": f"{row.n:,}",
        }
    return {"cell": cell, "key": key(reading.cell.goal), **numbers}
