"""Pages of papers in Markdown: every claim and published number, from reports in JSON.

A page holds all reports on the specs of one paper, whatever their scale, and an index names all
pages. They are text, so that a repository can keep them beside the reports that they show.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invspec.analysis.claims import OUTCOMES
from invspec.errors import SpecError, counted
from invspec.plan.coordinates import shown
from invspec.registry.cards import papers
from invspec.report import reproduction
from invspec.report.format import MISSING, duration, measured, short

# a report, a claim, a cell or a table, as JSON holds it
Record = Mapping[str, Any]
INDEX = "README"
NO_PAPER = "other"
CLAIM_HEADINGS = ("source", "claim", "expected", "measured", "paper", "verdict")
INDEX_HEADINGS = (
    "paper",
    "spec",
    "scale",
    "claims",
    "tables of the paper",
    "health",
    "time of all tasks",
)


@dataclass(frozen=True)
class Saved:
    """A report in JSON: what it says, and the name of its file."""

    file: str
    body: Record

    @property
    def paper(self) -> str:
        """The key of its paper, which names its page."""
        return str(self.body["paper"] or NO_PAPER)

    @property
    def spec(self) -> str:
        """The name of its spec."""
        return str(self.body["spec"])

    @property
    def scale(self) -> str:
        """The name of its scale."""
        return str(self.body["scale"] or "default")

    @property
    def time(self) -> str:
        """The time of all tasks together."""
        return duration(sum(self.body["provenance"]["seconds"].values()))

    @property
    def agreement(self) -> str:
        """How many numbers of the paper's tables ours agree with; empty if it has none."""
        counts = Counter[str]()
        for table in self.body["published"]:
            counts.update({name: table[name] for name in ("agree", "disagree", "missing")})
        if not counts:
            return ""
        missing = f", {counts['missing']} missing" if counts["missing"] else ""
        return f"{counts['agree']} of {counts['agree'] + counts['disagree']} agree{missing}"

    @property
    def tally(self) -> str:
        """The verdicts on its claims, counted: 3 hold, 1 fails for these nets."""
        counts = Counter(claim["verdict"] for claim in self.body["claims"])
        words = (
            f"{counts[verdict]} {_verdict(verdict, counts[verdict])}"
            for verdict in sorted(counts, key=_rank)
        )
        return ", ".join(words) or "none"


def read(path: Path) -> Saved:
    """Read a report. Raises: SpecError if the file is none, or lacks what a page shows."""
    report = Saved(path.name, reproduction.read(path).body)
    try:
        page(report)
        _line(report)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        message = f"not a report that can be shown ({problem!r})"
        raise SpecError(message, where=str(path), hint=reproduction.REWRITE) from None
    return report


def pages(reports: Sequence[Saved], command: Sequence[str]) -> dict[str, str]:
    """The page of each paper by its key, and the index. command: what wrote them, for the notice.

    Pages are in the order of the keys, reports in the given order.
    """
    by_paper: dict[str, list[Saved]] = {}
    for report in reports:
        by_paper.setdefault(report.paper, []).append(report)
    notice = f"<!-- Written by `{shlex.join(command)}`; do not edit. -->"
    written = {
        paper: _joined([_heading(paper), notice, *map(page, by_paper[paper])])
        for paper in sorted(by_paper)
    }
    return {INDEX: _joined(["# Papers, checked", notice, _index(reports)]), **written}


def page(report: Saved) -> str:
    """What one report says: how it was made, its health, its claims, and the paper's tables."""
    body = report.body
    parts = [
        f"## {body['title']}",
        _made(report),
        f"{body['health']['headline']}. {_correction(body)}".strip(),
        "\n".join(f"- {note}" for note in _failures(body["health"]["checks"])),
    ]
    if claims := body["claims"]:
        parts.append(_table(CLAIM_HEADINGS, map(_claim, claims)))
    for table in body["published"]:
        parts += _published(table)
    return _joined(parts).rstrip()


def _heading(paper: str) -> str:
    known = papers().get(paper)
    if known is None:
        return "# Specs of no paper"
    venue = f" {known.venue}." if known.venue else ""
    return f"# {known.authors} ({known.year})\n\n*{known.title.rstrip('.')}.*{venue}"


def _index(reports: Sequence[Saved]) -> str:
    return _table(INDEX_HEADINGS, (_line(report) for report in reports))


def _line(report: Saved) -> list[str]:
    health = report.body["health"]["headline"].removeprefix("Health: ")
    return [
        f"[{report.paper}]({report.paper}.md)",
        f"`{report.spec}`",
        report.scale,
        report.tally,
        report.agreement,
        health,
        report.time,
    ]


def _made(report: Saved) -> str:
    """The command, the commit, the machine, and the time."""
    facts = report.body["provenance"]
    done, tasks = facts["done"], facts["tasks"]
    seeds = facts["seeds"]
    named = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    lines = [
        f"`{facts['command']}`",
        f"{done:,} of {counted(tasks, 'task')}, which took {report.time} together; "
        f"{named}; scale {report.scale}",
        "; ".join(
            f"{name} {', '.join(values)}"
            for name, values in {**facts["versions"], **facts["surroundings"]}.items()
        ),
        f"all numbers: `{report.file}`",
    ]
    return "\n".join(f"- {line}" for line in lines if line)


def _failures(checks: Iterable[Record]) -> Iterator[str]:
    """A line for each check that failed somewhere: how often, and the first reason."""
    failures: dict[tuple[str, str], list[Record]] = {}
    for record in checks:
        if record["status"] in ("fails", "warns"):
            failures.setdefault((record["status"], record["check"]), []).append(record)
    for (status, check), (first, *others) in sorted(failures.items()):
        more = f" (and {len(others):,} more)" if others else ""
        net = " ".join(map(str, first["net"].values()))
        attack = f", {first['attack']}" if first["attack"] else ""
        yield f"`{check}` {status}: {net}{attack}: {first['reason']}{more}"


def _correction(body: Record) -> str:
    expected = body["false_verdicts_expected_uncorrected"]
    if not expected:
        return ""
    return (
        "Verdicts are corrected for the number of claims (Holm); without the correction, up to "
        f"{expected:.2g} false ones are to be expected."
    )


def _claim(claim: Record) -> list[str]:
    remarks = [claim["reason"], "; ".join(claim["doubts"])]
    says = ". ".join(filter(None, [claim["says"], *remarks]))
    paper = MISSING if claim["published"] is None else short(claim["published"])
    return [
        claim["source"] or "",
        says,
        claim["expected"],
        _measured(claim),
        paper,
        claim["verdict"],
    ]


def _measured(claim: Record) -> str:
    """The statistic with its interval."""
    if claim["value"] is None:
        return MISSING
    name = claim["statistic"].replace("_", " ")
    return f"{name} {_with_interval(claim['value'], claim['low'], claim['high'])}"


def _published(table: Record) -> Iterator[str]:
    """A table of the paper beside ours."""
    cells = table["cells"]
    sources = ", ".join(dict.fromkeys(filter(None, (cell["source"] for cell in cells))))
    total = table["agree"] + table["disagree"]
    named = f" ({sources})" if sources else ""
    yield f"### {table['title']}{named}: {table['agree']} of {total} agree"
    names = tuple(dict.fromkeys(name for cell in cells for name in cell["at"]))
    headings = (*names, "ours", "paper", "difference", "agrees")
    yield _table(headings, (_cell(cell, names) for cell in cells))


def _cell(cell: Record, names: Sequence[str]) -> list[str]:
    labels = [shown(cell["at"].get(name)) for name in names]
    paper = short(cell["published"])
    if cell["ours_value"] is None or cell["difference"] is None:
        return [*labels, MISSING, paper, MISSING, ""]
    ends = (cell["difference_low"], cell["difference_high"])
    difference = _with_interval(cell["difference"], *ends)
    agrees = {True: "yes", False: "no", None: ""}[cell["agrees"]]
    return [*labels, measured(cell["ours_value"]), paper, difference, agrees]


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    """A number with its interval; JSON has null for an infinite end."""
    ends = ("no bound" if end is None else measured(end) for end in (low, high))
    return f"{measured(value)} ({' to '.join(ends)})"


def _rank(verdict: str) -> tuple[int, str]:
    """The order of verdicts: by outcome, those without a scope first."""
    ranks = (rank for rank, outcome in enumerate(OUTCOMES) if verdict.startswith(outcome))
    return next(ranks, len(OUTCOMES)), verdict


def _verdict(words: str, count: int) -> str:
    """A verdict on so many claims: hold for these nets."""
    first, *others = words.split(" ")
    plural = {"holds": "hold", "fails": "fail"}
    return " ".join([plural.get(first, first) if count > 1 else first, *others])


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [list(headings), ["---"] * len(headings), *map(list, rows)]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"
