"""A run and a report as the command line shows them."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from invspec.cli.progress import Lines, Live
from invspec.errors import InvspecError, SpecError
from invspec.execution import leases
from invspec.execution.execute import execute
from invspec.execution.pools.pool import Executor
from invspec.execution.store import Store
from invspec.plan import validation
from invspec.plan.cells import Plan


def check(planned: Plan) -> None:
    """Raise all problems of a plan before anything runs."""
    validation.check(planned)


def run(planned: Plan, store: Store, executor: Executor, lease: float = leases.SECONDS) -> int:
    """Compute what the store lacks, with progress on stderr. Returns the number of failed tasks.

    lease: seconds after which the tasks of another, silent run are taken over.
    """
    check(planned)
    goals = [cell.goal for cell in planned.cells]
    console = Console(stderr=True, highlight=False)
    progress = (Live if console.is_terminal else Lines)(console, planned.names)
    with progress:
        for event in execute(goals, store, executor, lease):
            progress.handle(event)
    console.print(progress.summary())
    return progress.counts["Failed"]


def show(planned: Plan, store: Store, format: str, output: Path | None) -> None:
    """Write a report in a format. On the terminal, also write its page and print the path."""
    from invspec.report import contents, export, latex, text
    from invspec.report.pages import render

    report, name = contents.report(planned, store), planned.spec.name
    page = output or store.root / "reports" / name
    match format:
        case "rich":
            text.show(report, Console(highlight=False))
            print(f"page: {render.write(report, page)}")
        case "html":
            print(render.write(report, page))
        case "latex":
            _deliver(latex.text(report), output, f"{name}.tex")
        case "csv":
            _deliver(export.csv_text(report, store), output, f"{name}.csv")
        case "json":
            _deliver(export.json_text(report, store), output, f"{name}.json")
        case _:
            hint = "expected rich, csv, json, latex or html"
            raise SpecError(f"no format {format!r}", where="--format", hint=hint)


def _deliver(text: str, output: Path | None, name: str) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise InvspecError(
            f"cannot write {output / name}: {problem.strerror}", hint="choose another --output"
        ) from None
    print(output / name)
