"""What a benchmark found: numbers with their limits, as a table and as JSON."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Finding:
    """A number, whether it holds if it is required, and a note: how it was found, why it failed."""

    section: str
    name: str
    value: float | None = None
    unit: str = ""
    holds: bool | None = None
    note: str = ""


Section = Callable[[], Iterable[Finding]]


def at_most(section: str, name: str, value: float, limit: float, unit: str = "") -> Finding:
    """A number that must not exceed its limit; NaN exceeds every limit."""
    return Finding(section, name, value, unit, value <= limit, f"at most {limit:g}")


def equal(section: str, name: str, holds: bool) -> Finding:
    """Whether bits are equal."""
    return Finding(section, name, holds=holds, note="equal" if holds else "DIFFERENT")


def collected(sections: dict[str, Section], seconds: float) -> list[Finding]:
    """The findings of all sections. One that raises fails alone; late findings are left out."""
    found: list[Finding] = []
    end = time.monotonic() + seconds
    for name, section in sections.items():
        start = time.monotonic()
        found += _guarded(name, section, end)
        found.append(Finding(name, "duration", round(time.monotonic() - start, 1), "s"))
    return found


def _guarded(name: str, section: Section, end: float) -> Iterator[Finding]:
    findings = iter(section())
    try:
        while time.monotonic() < end:
            finding = next(findings, None)
            if finding is None:
                return
            yield finding
    except Exception as problem:
        traceback.print_exc()
        yield Finding(name, "stopped", holds=False, note=f"{type(problem).__name__}: {problem}")
    else:
        yield Finding(name, "the rest", note="left out: no time")


def show(found: Iterable[Finding], console: Console) -> None:
    """Print a table."""
    table = Table("section", "finding", "value", "", "note")
    for finding in found:
        value = "" if finding.value is None else f"{finding.value:.4g} {finding.unit}"
        verdict = {None: "", True: "holds", False: "FAILS"}[finding.holds]
        table.add_row(finding.section, finding.name, value, verdict, finding.note)
    console.print(table)


def write(path: Path, facts: dict[str, str], found: Iterable[Finding]) -> None:
    """Write facts about the machine and all findings as JSON."""
    content = {**facts, "findings": [asdict(finding) for finding in found]}
    path.write_text(json.dumps(content, indent=1))
