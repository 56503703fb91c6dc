"""A run from the user's side: progress while an executor works, the report after it, the memory of the last run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from invspec.cli.progress import Lines, Live
from invspec.errors import InvspecError, SpecError
from invspec.execution import walk
from invspec.execution.devices import Settings
from invspec.execution.devices import devices as named_devices
from invspec.execution.store import Store
from invspec.plan import validation
from invspec.plan.cells import Plan


def check(planned: Plan) -> None:
    """Refuse a plan with everything that is wrong with it, before anything is run."""
    validation.check(planned)


def run(
    planned: Plan, store: Store, devices: str | None, workers: int | None, batch_size: int | None
) -> int:
    """Compute what the store lacks; the number of tasks that failed."""
    check(planned)
    settings = Settings(named_devices(devices, workers), batch_size)
    goals = [cell.goal for cell in planned.cells]
    console = Console(stderr=True, highlight=False)
    listener = (Live if console.is_terminal else Lines)(console, planned.names)
    with listener:
        for event in walk.execute(goals, store, settings):
            listener.hear(event)
    console.print(listener.summary())
    return listener.counts["Failed"]


# ─ after it ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Call = tuple[
    str, str | None, list[str] | None, bool, list[Path] | None
]  # spec, scale, settings, smoke, registries


def remember(
    store: Store,
    spec: str,
    scale: str | None,
    settings: list[str] | None,
    smoke: bool,
    registry: Iterable[Path] | None,
) -> None:
    """Keep the call, so that `invspec report` alone reports on it."""
    path = Path(spec).resolve() if Path(spec).exists() else spec
    folders = [str(folder.resolve()) for folder in registry or ()]
    call = {"spec": str(path), "scale": scale, "set": settings, "smoke": smoke, "registry": folders}
    store.remember(call)


def recall(store: Store) -> Call:
    """The call of the last run."""
    call: Any = store.recall()
    try:
        return (
            call["spec"],
            call["scale"],
            call["set"],
            call["smoke"],
            [Path(folder) for folder in call["registry"]],
        )
    except (KeyError, TypeError):
        raise SpecError(
            f"no run is remembered in {store.root}", hint="name a spec: invspec report SPEC"
        ) from None


def show(planned: Plan, store: Store, format: str, output: Path | None) -> None:
    """Write a report; on the terminal with the path of its page."""
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
            raise SpecError(f"no format {format!r}", where="--format")


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
