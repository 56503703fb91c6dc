"""A run and a report as the command line shows them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from invspec.cli import options, streams
from invspec.cli.progress import Lines, Live
from invspec.errors import InvspecError, SpecError, refuse
from invspec.execution import leases
from invspec.execution.choices import Choices, Measure
from invspec.execution.execute import execute
from invspec.execution.pools.pool import Executor
from invspec.execution.store import Store
from invspec.plan import planner, validation
from invspec.plan.cells import Examination, Plan
from invspec.plan.examinations import small

if TYPE_CHECKING:
    from invspec.analysis.readings import Artifacts
    from invspec.cli.gate import Wanted
    from invspec.plan.precisions import Question
    from invspec.report.contents import Report
    from invspec.report.provenance import Call


# formats of a file with one row for each of something, and what that is if nothing is said
ROW_FORMATS, CELLS = ("csv", "json", "parquet"), "cells"
# inches: the text of a paper in two columns
PAGE_WIDTH = 6.75


def check(planned: Plan, store: Store | None = None) -> None:
    """Raise all problems of a plan before anything runs. What a store has needs no files."""
    validation.check(planned, lambda train: store is not None and train in store)


def doubt(planned: Plan, strict: bool) -> None:
    """Print the doubtful settings of a plan on stderr or, if strict, raise them."""
    doubts = validation.warnings(planned)
    if strict:
        refuse(doubts)
    options.warn(doubts)


def settled(
    planned: Plan, store: Store, device: Callable[[], str], measure: Measure | None = None
) -> Plan:
    """The plan once every precision is chosen. What the store does not know is measured first."""
    chosen = Choices(store.root)
    unknown = [question for question in planned.answers if chosen.read(question) is None]
    if unknown:
        check(planned, store)
        _measure(unknown, chosen, device(), measure)
    for sentence in chosen.sentences(unknown):
        print(sentence, file=sys.stderr)
    if all(chosen.answer(question) == known for question, known in planned.answers.items()):
        return planned
    return planner.plan(planned.spec, chosen.answer)


def _measure(
    questions: Sequence[Question], choices: Choices, device: str, measure: Measure | None
) -> None:
    # imports what computes, which takes a second
    from invspec.execution import measuring

    for question in questions:
        print(f"measuring in which precision to {question}", file=sys.stderr)
        choices.settle(question, device, measure or measuring.measure)


def run(planned: Plan, store: Store, executor: Executor, lease: float = leases.SECONDS) -> int:
    """Compute what the store lacks, with progress on stderr. Returns the number of failed tasks.

    lease: seconds after which the tasks of another, silent run are taken over.
    """
    check(planned, store)
    return _compute(planned, store, executor, lease)


def _compute(planned: Plan, store: Store, executor: Executor, lease: float) -> int:
    console = Console(stderr=True, highlight=False, force_jupyter=False)
    on_processors = set(getattr(executor, "devices", ())) == {"cpu"}
    progress = (Live if console.is_terminal else Lines)(
        console, planned.names, store, on_processors
    )
    with progress:
        for event in execute(planned.goals, store, executor, lease):
            progress.handle(event)
    console.print(progress.summary())
    return progress.counts["Failed"]


def examine(planned: Plan, store: Store, executor: Executor) -> int:
    """Run the checks of a plan alone, and print what they found. Returns the failed tasks.

    Attacks that the store lacks run on the images of their checks only.
    """
    from invspec.cli import checks

    examinations = tuple(map(partial(_affordable, store=store), planned.examinations))
    alone = replace(planned, cells=(), examinations=examinations)
    check(planned, store)
    failed = _compute(alone, store, executor, leases.SECONDS)
    checks.show(alone, store)
    return failed


def _affordable(examination: Examination, store: Store) -> Examination:
    goal = examination.goal
    parts = (part for parts in (goal.of, *goal.others) for part in parts)
    is_stored = goal in store or all(part in store for part in parts)
    return examination if is_stored else small(examination)


def show(
    planned: Plan,
    store: Store,
    format: str,
    output: Path | None,
    call: Call | None = None,
    rows: str | None = None,
    gate: Wanted | None = None,
    width: float = PAGE_WIDTH,
) -> int:
    """Write a report in a format. On the terminal, also write its page and print the path.

    call: the folders that the command was given. rows: what a file of rows has one for; JSON
    without it is the whole report. gate: what to do with the verdicts. width: that of charts for a
    paper, in inches.

    Returns the exit code that the gate asks for.
    """
    from invspec.analysis.snapshot import Snapshot
    from invspec.report import captions, contents, health, latex, text

    if rows and format not in ROW_FORMATS:
        hint = f"--format {' or '.join(ROW_FORMATS)}"
        raise SpecError(f"is not for --format {format}", where="--rows", hint=hint)
    seen = Snapshot(store)
    report, name = contents.report(planned, seen, call), planned.spec.name
    if alarm := health.alarm(report.health):
        print(alarm, file=sys.stderr)
    # the terminal and the page say it themselves
    if report.missing and format not in ("rich", "html"):
        missing = captions.missing_cells(report.missing, len(planned.cells))
        print(f"{missing}: `{report.provenance.command}` computes them", file=sys.stderr)
    match format:
        case "rich":
            text.show(report, Console(highlight=False))
            print(f"page: {_page(report, seen, store, output)}")
        case "html":
            print(_page(report, seen, store, output))
        case "latex" if output:
            _save_paper(report, output, width)
        case "latex":
            deliver(latex.text(report), output, f"{name}.tex")
        case "csv" | "parquet" | "json" | "markdown":
            _deliver_data(report, seen, format, rows, output)
        case _:
            hint = "expected rich, csv, json, parquet, latex, html or markdown"
            raise SpecError(f"no format {format!r}", where="--format", hint=hint)
    return _conclude(report, seen, gate)


def _deliver_data(
    report: Report, seen: Artifacts, format: str, rows: str | None, output: Path | None
) -> None:
    """Write the numbers of a report for another program, or its text for another page."""
    from invspec.report import export, markdown

    name = report.plan.spec.name
    stem = f"{name}-{rows}" if rows else name
    match format:
        case "csv":
            deliver(export.csv_text(report, seen, rows or CELLS), output, f"{stem}.csv")
        case "parquet":
            content = export.parquet_bytes(report, seen, rows or CELLS)
            _deliver_bytes(content, output, f"{stem}.parquet")
        case "json" if rows:
            deliver(export.rows_json_text(report, seen, rows), output, f"{stem}.json")
        case "json":
            deliver_json(export.json_text(report, seen), output, f"{name}.json")
        case _:
            tables = "\n\n".join(map(markdown.section, report.tables))
            deliver(f"{_markdown(report, seen)}\n{tables}\n", output, f"{name}.md")


def export(
    planned: Plan,
    store: Store,
    to: str,
    output: Path | None,
    call: Call | None = None,
    gate: Wanted | None = None,
) -> int:
    """Export a report to an experiment tracker, and print where it is.

    Returns the exit code that the gate asks for.
    """
    from invspec.analysis.snapshot import Snapshot
    from invspec.report import contents
    from invspec.report.tracking import trackers

    seen = Snapshot(store)
    report = contents.report(planned, seen, call)
    print(trackers.export(report, seen, to, output, store.root))
    return _conclude(report, seen, gate)


def _conclude(report: Report, store: Artifacts, gate: Wanted | None) -> int:
    """The exit code that a gate asks for, after its files are written."""
    return gate.conclude(report, _markdown(report, store) if gate.summary else "") if gate else 0


def write_page(planned: Plan, store: Store, call: Call) -> Path:
    """Write the page of a plan in its place in the store, and nothing else."""
    from invspec.analysis.snapshot import Snapshot
    from invspec.report import contents

    seen = Snapshot(store)
    return _page(contents.report(planned, seen, call), seen, store, None)


def _page(report: Report, seen: Artifacts, store: Store, output: Path | None) -> Path:
    """Write the page of a report, with examples of its attacks, which the store keeps for it."""
    from invspec.report import examples
    from invspec.report.figures import kept
    from invspec.report.pages import details, render

    pages = store.root / "reports"
    sheets = examples.collect(details.attacks(report), seen, pages / examples.FOLDER)
    figures = kept.Figures(pages / kept.FOLDER)
    return render.write(report, output or _shelf(report.plan, store), sheets, figures)


def _save_paper(report: Report, output: Path, width: float) -> None:
    """Save a report as LaTeX, each of its tables and figures by itself, and the figures as PDF."""
    from invspec.report import latex
    from invspec.report.figures import draw, groups

    drawn = {name: draw.pdf(tables, width) for name, tables in groups.named(report.tables)}
    files = {name: content for name, content in drawn.items() if content is not None}
    stem = latex.stem(report)
    _save(latex.text(report, files).encode(), output, f"{stem}.tex")
    for piece, text in latex.pieces(report).items():
        _save(f"{text}\n".encode(), output, f"{stem}-{piece}.tex")
    for piece, text in latex.figure_pieces(report, files).items():
        _save(f"{latex.where(output)}\n{text}\n".encode(), output, f"{piece}.tex")
    for figure, content in files.items():
        _save(content, output, f"{latex.figure_name(report, figure)}.pdf")


def _markdown(report: Report, store: Artifacts) -> str:
    """A report as the section of a page."""
    from invspec.report import export, papers

    body = json.loads(export.json_text(report, store))
    return papers.page(papers.Saved(Path(f"{report.plan.spec.name}.json"), body)) + "\n"


def show_saved(paths: Sequence[str], format: str, output: Path | None) -> None:
    """Write pages of saved reports, one for each paper, and an index of them.

    Raises: SpecError if a file is no report in JSON, or the format is not for several reports.
    """
    from rich.markdown import Markdown

    from invspec.report import papers

    if format not in ("rich", "markdown"):
        hint = "reports in JSON can be shown as rich or markdown"
        raise SpecError(f"cannot show saved reports as {format}", where="--format", hint=hint)
    reports = [papers.read(Path(path)) for path in paths]
    words = ["--format", format, *(["--output", str(output)] if output else [])]
    pages = papers.pages(reports, ["invspec", "report", *paths, *words], output)
    for name, page in pages.items():
        if output is None and format == "rich":
            Console(highlight=False).print(Markdown(page))
        else:
            deliver(page, output, f"{name}.md")


def _shelf(planned: Plan, store: Store) -> Path:
    """The folder of the plan's page in the store."""
    from invspec.report.pages import shelf

    return shelf.folder(planned.spec, store.root / "reports")


def deliver(text: str, output: Path | None, name: str) -> None:
    """Write text to a file of a folder, or to stdout."""
    if output is None:
        sys.stdout.write(text)
    else:
        _save(text.encode(), output, name)


def deliver_json(text: str, output: Path | None, name: str) -> None:
    """Write JSON to a file of a folder, or to stdout, with escapes where stdout needs them."""
    if output is None and not streams.can_encode(text):
        # escapes lose nothing, as other characters would
        text = json.dumps(json.loads(text), indent=1) + "\n"
    deliver(text, output, name)


def _deliver_bytes(content: bytes, output: Path | None, name: str) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        _save(content, output, name)


def _save(content: bytes, output: Path, name: str) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
    except OSError as problem:
        raise InvspecError(
            f"cannot write {output / name}: {problem.strerror}", hint="choose another --output"
        ) from None
    print(output / name)
