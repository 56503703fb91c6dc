"""The report on a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from invspec.analysis.claims import Outcome, Verdict
from invspec.report import beside, captions, health, provenance
from invspec.report.contents import Report
from invspec.report.format import (
    MISSING,
    column_headings,
    duration,
    expectation,
    published,
    seed_words,
    shown_lines,
    statistic,
    statistic_and_interval,
)
from invspec.report.provenance import Provenance
from invspec.report.table import Table

COLOURS: dict[Outcome, str] = {
    "holds": "bold green",
    "fails": "bold red",
    "undecided": "bold yellow",
    "not testable": "bold",
    "missing": "dim",
}
# Blanks after a column: its padding and the divider of the box.
GAP = 2


def show(report: Report, console: Console) -> None:
    """Print a report."""
    for part in _parts(report, console.width):
        console.print(part)
    # in one line, however long, so that it can be copied
    console.print(Text(report.provenance.command, style="dim"), soft_wrap=True)


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    yield Text(f"\n{report.plan.spec.title}", style="bold")
    if citation := provenance.citation(report.plan.spec):
        yield Text(citation, style="dim")
    yield Text(f"\n{health.headline(report.health)}", style="bold")
    for note in health.notes(report.health):
        yield Text(note)
    if report.verdicts:
        tally = captions.tally(report.verdicts)
        counts = ", ".join(f"{count} {word}" for _, count, word in tally)
        heading = " ".join(filter(None, ["Claims", captions.size(report.plan.spec)]))
        yield Text(f"\n{heading}: {counts}", style="bold")
        yield Padding(_claims(report.verdicts), (1, 0, 0, 0))
        if correction := captions.correction_and_why(report.verdicts):
            yield Text(f"\n{correction}", style="dim")
    for table in report.tables:
        yield from _table(table, width)
    yield from _foot(report)


def _grid(leading: int = 0) -> Grid:
    return Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        leading=leading,
    )


# ─ claims ─────────────────────────────────────────────────────────────────────────────────────────


def _claims(verdicts: Sequence[Verdict]) -> Grid:
    grid = _grid(leading=1)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("claim", ratio=1)
    grid.add_column("measured", no_wrap=True)
    grid.add_column("expected", max_width=14)
    has_published = any(verdict.published is not None for verdict in verdicts)
    if has_published:
        grid.add_column("paper", no_wrap=True, justify="right")
    for verdict in verdicts:
        words = captions.outcome(verdict).replace(" for ", "\nfor ")
        outcome = Text(words, style=COLOURS[verdict.outcome])
        cells = [outcome, _claim(verdict), _measured(verdict), Text(expectation(verdict))]
        grid.add_row(*cells, *([Text(published(verdict))] if has_published else []))
    return grid


def _claim(verdict: Verdict) -> Text:
    sentence = Text(verdict.claim.says)
    for remark in filter(
        None, (verdict.claim.source, captions.reason(verdict), *captions.notes(verdict))
    ):
        sentence.append(f"\n{remark}", style="dim")
    doubt = captions.doubt(verdict)
    return sentence.append(f"\n{doubt}") if doubt else sentence


def _measured(verdict: Verdict) -> Text:
    if verdict.outcome == "missing":
        return Text(f"{MISSING}\n{captions.missing_scores(verdict)}".rstrip(), style="dim")
    value, interval = statistic_and_interval(verdict)
    return Text(f"{statistic(verdict)} {value}").append(f"\n{interval}", style="dim")


# ─ tables ─────────────────────────────────────────────────────────────────────────────────────────


def _table(table: Table, width: int) -> Iterator[RenderableType]:
    yield Text(f"\n{table.title}", style="bold")
    if table.summary:
        yield Text(table.summary, style="dim")
    if across := _columns(table):
        yield Text(across, style="dim")
    for columns in _column_runs(table, width):
        yield Padding(_block(table, columns), (1, 0, 0, 0))
    yield Text("")
    yield Text(captions.caption(table), style="dim")
    if table.comparisons:
        yield Text(f"\n{beside.title(table)}", style="bold")
        yield Padding(_beside(table), (1, 0, 0, 0))
        yield Text("")
        yield Text(beside.caption(table), style="dim")


def _beside(table: Table) -> Grid:
    """Our numbers beside the paper's."""
    grid = _grid()
    for name in beside.headings(table):
        grid.add_column(_split_heading(name), overflow="fold", vertical="top")
    for name in ("ours", "paper", "difference"):
        grid.add_column(name, no_wrap=True, justify="right")
    grid.add_column("agrees", no_wrap=True)
    for labels, (ours, paper, difference, interval, agrees) in beside.rows(table):
        texts = [Text(ours), Text(paper), _cell(difference, interval), Text(agrees)]
        grid.add_row(*map(Text, labels), *texts)
    return grid


def _block(table: Table, columns: range) -> Grid:
    """The row labels and some of the columns."""
    grid, headings = _grid(), _headings(table)
    for name in table.rows:
        grid.add_column(_split_heading(table.headings[name]), no_wrap=True, vertical="top")
    for column in columns:
        grid.add_column(Text(headings[column]), no_wrap=True, justify="right")
    for labels, numbers in shown_lines(table):
        shown = (numbers[column] for column in columns)
        grid.add_row(*map(Text, labels), *(_cell(n.value, n.margin, n.is_best) for n in shown))
    return grid


def _headings(table: Table) -> list[str]:
    """What stands above each column, on several lines where the table has several measures."""
    if not table.others:
        return column_headings(table)
    return [heading for block in table.blocks for heading in _headings_among_others(block)]


def _headings_among_others(table: Table) -> list[str]:
    """The headings of one measure's columns: robust_accuracy, and below it eps 0.1."""
    measure = table.called.replace("_", "_\n").replace(" ", "\n")
    if table.columns is None:
        return [measure]
    name = table.names.get(table.columns, table.columns.split(".")[-1])
    return [f"{measure}\n{name} {value}" for value in column_headings(table)]


def _columns(table: Table) -> str:
    """What runs across, with its unit."""
    across = [
        f"{block.called} by {heading}" if table.others else heading
        for block in table.blocks
        if block.columns is not None
        for heading in [block.headings[block.columns]]
    ]
    return f"columns: {', '.join(across)}" if across else ""


def _cell(value: str, margin: str, is_best: bool = False) -> Text:
    number = Text(value, style="bold" if is_best else "")
    return number.append(f"\n{margin}", style="not bold dim") if margin else number


def _split_heading(heading: str) -> Text:
    """A heading on several lines: label, field, unit."""
    return Text(heading.replace(".", ".\n").replace(" (", "\n("))


def _column_runs(table: Table, width: int) -> Iterator[range]:
    """Runs of columns that fit beside the row labels."""
    labels = 0
    for position, name in enumerate(table.rows):
        heading = _split_heading(table.headings[name]).plain.split("\n")
        labels += _width([*heading, *(table.shown(line.labels[position]) for line in table.lines)])
    headings = _headings(table)
    rows = [numbers for _, numbers in shown_lines(table)]
    texts = [
        text for numbers in rows for number in numbers for text in (number.value, number.margin)
    ]
    parts = [part for heading in headings for part in heading.split("\n")]
    count, fit = len(headings), max((width - labels) // _width([*parts, *texts]), 1)
    for start in range(0, count, fit):
        yield range(start, min(start + fit, count))


def _width(texts: Sequence[str]) -> int:
    return max(map(len, texts), default=0) + GAP


# ─ the foot ───────────────────────────────────────────────────────────────────────────────────────


def _foot(report: Report) -> Iterator[Text]:
    yield Text("")
    if report.missing:
        sentence = captions.missing_cells(report.missing, len(report.plan.cells))
        yield Text(sentence, style="bold")
    cost = health.cost(report.health, report.provenance)
    for line in (*provenance_lines(report.provenance), *([f"checks took {cost}"] if cost else [])):
        yield Text(line, style="dim")


def provenance_lines(facts: Provenance) -> list[str]:
    """What was computed, with which versions, on which machines, and in what time."""
    tasks = [
        f"{facts.done:,} of {facts.tasks:,} tasks",
        seed_words(facts.seeds_by_dataset),
        f"attacks in {facts.precision}",
    ]
    times = [f"{kind} {duration(seconds)}" for kind, seconds in facts.seconds.items() if seconds]
    versions = [f"{name} {', '.join(values)}" for name, values in facts.versions.items()]
    around = [f"{name} {', '.join(values)}" for name, values in facts.surroundings.items()]
    chosen = [f"precision auto: {', '.join(facts.chosen)}"] if facts.chosen else []
    around += [f"{peak} of {name}" for name, peak in memory(facts).items()]
    lines = [tasks, chosen, [facts.bits], times, versions, around]
    return [" · ".join(line) for line in lines if any(line)]


def memory(facts: Provenance) -> dict[str, str]:
    """What the largest task took of the memory of the host and of a GPU, where it is known."""
    peaks = {"memory": facts.peak_memory, "GPU memory": facts.peak_device_memory}
    return {name: f"at most {peak / 1e9:.1f} GB" for name, peak in peaks.items() if peak}
