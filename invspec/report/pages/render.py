"""The report as one self-contained page, and its figures as files."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup

from invspec.analysis.readings import Reading
from invspec.data import Interval
from invspec.errors import InvspecError
from invspec.plan.coordinates import shown
from invspec.report import beside, captions, health, latex, methods, provenance
from invspec.report.contents import Report
from invspec.report.examples import Sheet
from invspec.report.figures import groups, kept
from invspec.report.figures.inline import Entry, Inline, variable
from invspec.report.figures.kept import Figures
from invspec.report.figures.panels import labels_in_panel, legend_text, line_id
from invspec.report.format import (
    MISSING,
    decimal,
    duration,
    heading_rows,
    interval,
    seed_words,
    shown_lines,
)
from invspec.report.pages.claims import claim
from invspec.report.pages.details import Details
from invspec.report.pages.templates import rendered
from invspec.report.provenance import Provenance
from invspec.report.table import Table
from invspec.report.text import memory
from invspec.tasks import key

# Marks where a long heading may be broken.
BREAK = "\N{ZERO WIDTH SPACE}"
# Maximum number of rows in the table of all numbers; more would make the page slow.
MAX_RECORDS = 2_000
# Bytes of a page, which is read from disk, sent by mail and shown on phones.
LARGEST = 4_900_000
# Where its data begin.
DETAILS = '<script type="application/json" id="details">'


def write(
    report: Report,
    folder: Path,
    sheets: Mapping[str, Sheet] | None = None,
    figures: Figures | None = None,
) -> Path:
    """Write folder/index.html and folder/figures/*.png, each with an SVG.

    sheets: the pictures of attacks by their keys, as far as the page is to have some. figures:
    those that were drawn before (default: none).

    Raises: InvspecError if a file cannot be written, or the folder has the page of another study.
    """
    page = folder / "index.html"
    try:
        _require_own(page, report.plan.spec.name)
        folder.mkdir(parents=True, exist_ok=True)
        named = [*groups.named(report.tables), *groups.named(report.trainings, "training")]
        for name, tables in named:
            kept.save(tables, folder / "figures" / f"{name}.png")
        page.write_text(text(report, sheets, figures), encoding="utf-8")
    except OSError as problem:
        hint = "choose another --output"
        raise InvspecError(f"cannot write {page}: {problem.strerror}", hint=hint) from None
    return page


def _require_own(page: Path, study: str) -> None:
    """Raise InvspecError if there is a page of another study, whose figures would be lost, too."""
    if not page.exists():
        return
    head = page.read_text(encoding="utf-8", errors="replace")[:2_000]
    named = re.search(r'<meta name="study" content="([^"]*)">', head)
    if named and (other := html.unescape(named[1])) != study:
        hint = "choose another --output: each page has a folder of its own"
        raise InvspecError(f"{page} is the page of {other}, not of {study}", hint=hint)


def text(
    report: Report, sheets: Mapping[str, Sheet] | None = None, figures: Figures | None = None
) -> str:
    """The page as HTML; sheets and figures as in `write`."""
    spec, here = report.plan.spec, Path(__file__).parent
    details, drawn = Details(report, sheets or {}), figures or Figures()
    tables = list(_tables(report.tables, "figure", details, drawn))
    trainings = list(_tables(report.trainings, "training", Details(report, {}), drawn))
    missing = captions.missing_cells(report.missing, len(report.plan.cells))
    page = rendered(
        "page.html.j2",
        study=spec.name,
        title=spec.title,
        citation=provenance.citation(spec),
        tally=captions.tally(report.verdicts),
        size=captions.size(spec),
        correction=captions.correction_and_why(report.verdicts),
        missing=missing if report.missing else "",
        health=health.headline(report.health),
        notes=health.notes(report.health),
        claims=[claim(verdict) for verdict in report.verdicts],
        has_premises=any(verdict.premises for verdict in report.verdicts),
        has_published=any(verdict.published is not None for verdict in report.verdicts),
        css=Markup((here / "page.css").read_text(encoding="utf-8")),
        script=Markup((here / "page.js").read_text(encoding="utf-8")),
        warning=_warning(report),
        tables=[
            {**item, "latex": source}
            for item, source in zip(tables, latex.tables(report), strict=True)
        ],
        trainings=[item for item in trainings if item["svg"]],
        methods=list(methods.entries(spec)),
        dark_colours={
            variable(colour): on_dark
            for item in (*tables, *trainings)
            for colour, on_dark in item["dark"].items()
        },
        facts=list(_facts(report.provenance, health.cost(report.health, report.provenance))),
        command=report.provenance.command,
        spec_text=provenance.spec_text(spec),
        records=_records(report),
        is_cut=len(report.readings) > MAX_RECORDS,
    )
    head, mark, tail = page.rpartition(DETAILS)
    numbers = _embedded(details.numbers)
    room = LARGEST - len(page.encode()) - len(numbers.encode())
    data = f'{{"numbers":{numbers},"sheets":{_embedded(details.fitting(room))}}}'
    return f"{head}{mark}{data}{tail}"


def _embedded(value: Any) -> str:
    """JSON that cannot end the script element in which it stands."""
    return _json(value).replace("<", "\\u003c")


def _warning(report: Report) -> str:
    """What a reader must know first: that the numbers are not those of the spec's own size."""
    spec = report.plan.spec
    if spec.is_smoke:
        return "A smoke run: tiny nets, a few examples. It shows that the spec runs, nothing more."
    changed = captions.size(spec)
    return f"Not the spec's own size: {changed}." if changed else ""


# ─ tables ─────────────────────────────────────────────────────────────────────────────────────────


def _tables(
    tables: Sequence[Table], prefix: str, details: Details, drawn: Figures
) -> Iterator[dict[str, Any]]:
    """Tables for the template; a figure of several tables belongs to the first of them."""
    numbered = enumerate(groups.group(tables))
    figures = {id(group[0]): drawn.inline(group, f"{prefix}{place}") for place, group in numbered}
    return (_table(table, figures.get(id(table)), details) for table in tables)


def _table(table: Table, figure: Inline | None, details: Details) -> dict[str, Any]:
    upper, lower = heading_rows(table)
    down = " and ".join(map(table.named, table.rows))
    across = table.headings[table.columns] if table.columns else down
    return {
        "title": table.title,
        "summary": table.summary,
        "drawn": f"{table.called} by {across}",
        # matplotlib has escaped the texts in it
        "svg": None if figure is None else Markup(figure.svg),
        "dark": {} if figure is None else figure.dark,
        "legend": [] if figure is None else [_entry(entry) for entry in figure.legend],
        "legend_title": "" if figure is None else figure.title,
        "remark": table.remark if table.figure in captions.REMARKS else "",
        "rows": [table.headings[name].replace(".", f".{BREAK}") for name in table.rows],
        "upper": upper,
        "lower": lower,
        "across": _across(table),
        "lines": list(_lines(table, details)),
        "caption": captions.caption(table),
        "beside": _beside(table) if table.comparisons else None,
    }


def _entry(entry: Entry) -> dict[str, str]:
    return {**asdict(entry), "line": line_id(entry.text)}


def _across(table: Table) -> list[str]:
    """What each column is of, as JSON of its coordinate, for the page's filter."""
    return [
        _json({} if block.columns is None else {block.named(block.columns): block.shown(value)})
        for block in table.blocks
        for value in block.column_values
    ]


def _lines(table: Table, details: Details) -> Iterator[dict[str, Any]]:
    """Each row: its labels with and without repeated ones, its numbers and their details."""
    places = zip(*(details.of(block) for block in table.blocks), strict=True)
    for line, (merged, numbers), numbered in zip(
        table.lines, shown_lines(table), places, strict=True
    ):
        labels = [table.shown(label) for label in line.labels]
        yield {
            "labels": list(zip(merged, labels, strict=True)),
            "at": _json(_labelled(table, labels)),
            "line": line_id(legend_text(labels_in_panel(table, line), table)),
            "numbers": list(zip(numbers, (n for part in numbered for n in part), strict=True)),
        }


def _labelled(table: Table, labels: Sequence[str]) -> dict[str, str]:
    """The labels of a row by what its coordinates are called."""
    pairs = zip(table.rows, labels, strict=True)
    return {table.named(name): label for name, label in pairs if label}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _beside(table: Table) -> dict[str, Any]:
    """Our numbers beside the paper's."""
    return {
        "title": beside.title(table),
        "names": beside.headings(table),
        "numbers": beside.NUMBERS,
        "rows": list(beside.rows(table)),
        "caption": beside.caption(table),
    }


# ─ provenance ─────────────────────────────────────────────────────────────────────────────────────


def _facts(facts: Provenance, checks: str) -> Iterator[tuple[str, str]]:
    yield "tasks", f"{facts.done:,} of {facts.tasks:,} computed"
    yield "trainings", seed_words(facts.seeds_by_dataset)
    yield "precision", f"attacks in {facts.precision}, predictions judged in float32"
    if facts.chosen:
        yield "precision auto", ", ".join(facts.chosen)
    if facts.bits:
        yield "batch size", facts.bits
    if facts.total:
        kinds = ", ".join(f"{kind} {duration(seconds)}" for kind, seconds in facts.seconds.items())
        yield "compute time", f"{duration(facts.total)} ({kinds})"
    if checks:
        yield "checks", checks
    for name, values in {**facts.versions, **facts.surroundings}.items():
        yield name, ", ".join(values)
    yield from memory(facts).items()
    if facts.finished:
        yield "finished", facts.finished


def _records(report: Report) -> list[dict[str, str]]:
    readings = report.readings[:MAX_RECORDS]
    intervals = report.health.intervals(readings, report.estimator)
    return [_record(reading, intervals.get(reading)) for reading in readings]


def _record(reading: Reading, number: Interval | None) -> dict[str, str]:
    cell = ", ".join(f"{name} {shown(value)}" for name, value in reading.coords.items())
    numbers = {"value": MISSING, "interval": "", "n": ""}
    if number is not None:
        numbers = {
            "value": decimal(number.value, 4),
            "interval": interval(number.low, number.high, 4),
            "n": f"{number.n:,}",
        }
    return {"cell": cell, "key": key(reading.cell.goal), **numbers}
