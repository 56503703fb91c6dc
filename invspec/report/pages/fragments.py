"""Reports and attacked images as pieces of HTML, as a notebook shows them below a cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from invspec.data import Examples
from invspec.report import captions, examples, health
from invspec.report.contents import Report
from invspec.report.format import decimal, heading_rows, shown_lines
from invspec.report.pages.claims import claim
from invspec.report.pages.templates import rendered

# width of an image on the screen in pixels; small ones are enlarged to it
WIDTH = 80


def of_report(report: Report) -> str:
    """The health, the claims and the tables of a report."""
    cells = captions.missing_cells(report.missing, len(report.plan.cells))
    return rendered(
        "results.html.j2",
        title=report.plan.spec.title,
        health=health.headline(report.health),
        notes=health.notes(report.health),
        missing=cells if report.missing else "",
        claims=[claim(verdict) for verdict in report.verdicts],
        tables=list(_tables(report)),
    )


def _tables(report: Report) -> Iterator[dict[str, Any]]:
    for table in report.tables:
        upper, lower = heading_rows(table)
        yield {
            "title": table.title,
            "rows": [table.headings[name] for name in table.rows],
            "upper": upper,
            "lower": lower,
            "lines": shown_lines(table),
            "caption": captions.caption(table),
        }


def of_attacked(attacked: Examples, sentence: str) -> str:
    """A sentence on attacked images, and the first of them: before, after, and what changed."""
    sheet = _sheet(attacked)
    words = ""
    if sheet is not None:
        change = f"the change of each pixel, times {sheet.magnified:.3g}"
        words = f"from above: the image, the attacked image, {change}"
    return rendered(
        "attacked.html.j2",
        sentence=sentence,
        sheet=sheet,
        words=words,
        width=0 if sheet is None else len(sheet.examples) * max(WIDTH, sheet.width),
        decimal=decimal,
    )


def _sheet(attacked: Examples) -> examples.Sheet | None:
    """The first examples as a picture; none if they are points, which are no pictures."""
    x_adv = attacked.x_adv[: examples.COUNT]
    channels, height, width = x_adv.shape[1:]
    if not examples.is_picture((channels, height, width)):
        return None
    judged = attacked.judged.take(slice(len(x_adv)))
    (batch,) = attacked.clean.head(len(x_adv)).batches(len(x_adv))
    return examples.sheet(judged, batch.x, x_adv, attacked.clean.bounds)
