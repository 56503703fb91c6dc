"""Verdicts that gate a change: exit codes, and files for continuous integration."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invspec.errors import InvspecError, SpecError

if TYPE_CHECKING:
    from invspec.plan.cells import Plan
    from invspec.report.contents import Report

FAILS, UNDECIDED = 3, 4

Gate = Annotated[
    bool,
    typer.Option(
        "--gate", help=f"exit with {FAILS} if a claim fails, with {UNDECIDED} if one is undecided"
    ),
]
JUnit = Annotated[Path | None, typer.Option(help="file for the verdicts as JUnit's XML")]
Summary = Annotated[
    Path | None,
    typer.Option(help="file to which a summary in Markdown is appended, for a pull request"),
]


@dataclass(frozen=True)
class Wanted:
    """What a command was asked to do with the verdicts."""

    gate: bool = False
    junit: Path | None = None
    summary: Path | None = None

    def check(self, planned: Plan) -> None:
        """Raises: SpecError if there are no claims to gate."""
        if (self.gate or self.junit) and not planned.spec.claims:
            where = "--gate" if self.gate else "--junit"
            hint = "write some under `claims:` (docs/claims.md)"
            raise SpecError(f"{planned.spec.name} has no claims", where=where, hint=hint)

    def conclude(self, report: Report, markdown: str) -> int:
        """Write the files. Returns the exit code, 0 without --gate."""
        from invspec.report import verdicts

        if self.junit:
            _write(self.junit, verdicts.junit(report), "w", "--junit")
        sentence = verdicts.sentence(report.verdicts) if report.verdicts else ""
        if self.summary:
            head = f"**{sentence[:1].upper()}{sentence[1:]}.**\n\n" if sentence else ""
            _write(self.summary, f"{head}{markdown}\n", "a", "--summary")
        if not self.gate:
            return 0
        print(sentence, file=sys.stderr)
        decision = verdicts.decision(report.verdicts)
        return {"passes": 0, "fails": FAILS, "undecided": UNDECIDED}[decision]


def _write(path: Path, text: str, mode: str, option: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        message = f"cannot write {path}: {problem.strerror}"
        raise InvspecError(message, where=option, hint=f"choose another {option}") from None
