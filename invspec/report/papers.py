"""Pages of papers in Markdown: every claim and published number, from reports in JSON.

A page holds all reports on the specs of one paper, whatever their scale, and an index names all
pages. They are text, so that a repository can keep them beside the reports that they show.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from invspec.analysis.claims import OUTCOMES
from invspec.analysis.significance import Need
from invspec.errors import SpecError, counted
from invspec.plan.coordinates import shown
from invspec.registry.cards import papers
from invspec.report import markdown, reproduction
from invspec.report.captions import needs, p_value
from invspec.report.format import MISSING, ROUNDING, decimal, duration, measured, seed_words, short

# a report, a claim, a cell or a table, as JSON holds it
Record = Mapping[str, Any]
INDEX = "README"
NO_PAPER = "other"
CLAIM_HEADINGS = ("source", "claim", "expected", "measured", "p", "seeds", "verdict")
# after "measured", where the paper gives a number for a claim
PAPERS_NUMBER = "paper's value"
PREMISE_HEADINGS = ("premise", "expected", "measured", "met")
INDEX_HEADINGS = (
    "paper",
    "spec",
    "scale",
    "data",
    "claims of the paper",
    "claims of ours",
    "numbers of the paper",
    "health",
    "time of all tasks",
)
# how a source begins that is not the paper's
OURS = "ours"
LEGEND = " ".join(
    (
        "Intervals are at 95 %. They hold over test examples and, where a net was trained from",
        "several seeds, over trainings. *Holds* and *fails* speak of all trainings; *for this net*",
        "and *for these nets* speak of the nets at hand, which have one seed or published weights.",
        "p-values are corrected for the number of claims in a report (Holm), and so are verdicts:",
        "the chance that any verdict of a report is wrong is at most 5 %. A",
        "claim whose premise is not met is *not testable*. A claim is the paper's unless its",
        "source begins with *ours*; a source also says which thresholds are ours.",
    )
)


@dataclass(frozen=True)
class Saved:
    """A report in JSON: what it says, and its file."""

    path: Path
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
    def seeds(self) -> dict[str, list[int]]:
        """The seeds of the trainings on each data set, by its label."""
        seeds: dict[str, dict[int, None]] = {}
        for cell in self.body["cells"]:
            seeds.setdefault(cell["dataset"], {})[cell["seed"]] = None
        return {label: list(own) for label, own in seeds.items()}

    @property
    def data(self) -> str:
        """The data sets of its cells, by their names in the registry."""
        used = {cell["dataset"]: None for cell in self.body["cells"]}
        entries = yaml.safe_load(self.body["recipe"]["spec"])["datasets"]
        names = dict.fromkeys((entries[label] or {}).get("use", label) for label in used)
        return ", ".join(names)

    def link(self, folder: Path | None) -> str:
        """The name of its file, linked from a page in the folder."""
        if folder is None:
            return f"`{self.path.name}`"
        return f"[{self.path.name}]({Path(os.path.relpath(self.path, folder)).as_posix()})"

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

    def tally(self, ours: bool) -> str:
        """The verdicts on the claims of ours or of the paper, counted: 3 hold, 1 fails."""
        claims = [claim for claim in self.body["claims"] if _is_ours(claim) == ours]
        counts = Counter(claim["verdict"] for claim in claims)
        words = (
            f"{counts[verdict]} {_verdict(verdict, counts[verdict])}"
            for verdict in sorted(counts, key=_rank)
        )
        return ", ".join(words)


def _is_ours(claim: Record) -> bool:
    return (claim["source"] or OURS).startswith(OURS)


def read(path: Path) -> Saved:
    """Read a report. Raises: SpecError if the file is none, or lacks what a page shows."""
    report = Saved(path, reproduction.read(path).body)
    try:
        page(report)
        _line(report)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        message = f"not a report that can be shown ({problem!r})"
        raise SpecError(message, where=str(path), hint=reproduction.REWRITE) from None
    return report


def pages(
    reports: Sequence[Saved], command: Sequence[str], folder: Path | None = None
) -> dict[str, str]:
    """The page of each paper by its key, and the index.

    command: what wrote them, for the notice. folder: where they will lie, for links to the reports.
    Pages are in the order of the keys, reports in the given order.
    """
    by_paper: dict[str, list[Saved]] = {}
    for report in reports:
        by_paper.setdefault(report.paper, []).append(report)
    notice = f"<!-- Written by `{shlex.join(command)}`; do not edit. -->"
    written = {
        paper: _joined(
            [_heading(paper), notice, LEGEND, *(page(report, folder) for report in by_paper[paper])]
        )
        for paper in sorted(by_paper)
    }
    listed = [report for paper in sorted(by_paper) for report in by_paper[paper]]
    index = markdown.table(*_filled(INDEX_HEADINGS, [_line(report) for report in listed]))
    return {INDEX: _joined(["# Papers, checked", notice, LEGEND, index]), **written}


def page(report: Saved, folder: Path | None = None) -> str:
    """What one report says: how it was made, its health, its claims, and the paper's tables."""
    body = report.body
    parts = [
        f"## {body['title']}",
        _made(report, folder),
        f"{body['health']['headline']}. {_correction(body)}".strip(),
        "\n".join(f"- {note}" for note in _failures(body["health"]["checks"])),
    ]
    if claims := body["claims"]:
        parts.append(_claims(claims))
    if premises := _premises(claims):
        parts.append(markdown.table(PREMISE_HEADINGS, premises))
    for table in body["published"]:
        parts += _published(table)
    return _joined(parts).rstrip()


def _filled(
    headings: Sequence[str], lines: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """A table without the columns in which every line is empty."""
    places = [place for place in range(len(headings)) if any(line[place] for line in lines)]
    return [headings[place] for place in places], [[line[p] for p in places] for line in lines]


def _heading(paper: str) -> str:
    known = papers().get(paper)
    if known is None:
        return "# Specs of no paper"
    venue = f" {known.venue}." if known.venue else ""
    end = "" if known.title.endswith(("?", "!", ".")) else "."
    return f"# {known.authors} ({known.year})\n\n*{known.title}{end}*{venue}"


def _line(report: Saved) -> list[str]:
    health = report.body["health"]["headline"].removeprefix("Health: ")
    return [
        f"[{report.paper}]({report.paper}.md)",
        f"`{report.spec}`",
        report.scale,
        report.data,
        report.tally(ours=False),
        report.tally(ours=True),
        report.agreement,
        health,
        report.time,
    ]


def _made(report: Saved, folder: Path | None) -> str:
    """The command, the commit, the machine, and the time."""
    facts = report.body["provenance"]
    done, tasks = facts["done"], facts["tasks"]
    lines = [
        f"`{facts['command']}`",
        f"scale {report.scale}; {report.data}; {seed_words(report.seeds)}; "
        f"{done:,} of {counted(tasks, 'task')}, {report.time} summed over tasks; "
        f"finished {facts['finished'][:10] or MISSING}",
        "; ".join(
            f"{name} {', '.join(values)}"
            for name, values in {**facts["versions"], **facts["surroundings"]}.items()
        ),
        f"all numbers: {report.link(folder)}",
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
        f"Without the correction for the number of claims, up to {expected:.2g} false verdicts "
        "would be expected."
    )


def _claims(claims: Sequence[Record]) -> str:
    """The table of claims; the paper's numbers have a column if there are any."""
    headings: list[str] = list(CLAIM_HEADINGS)
    lines = [_claim(claim) for claim in claims]
    if any(claim["published"] is not None for claim in claims):
        place = headings.index("p")
        headings.insert(place, PAPERS_NUMBER)
        for line, claim in zip(lines, claims, strict=True):
            paper = claim["published"]
            line.insert(place, MISSING if paper is None else short(paper))
    return markdown.table(headings, lines)


def _claim(claim: Record) -> list[str]:
    remarks = [claim["reason"], "; ".join(claim["doubts"])]
    p = claim["p_corrected"]
    return [
        claim["source"] or "",
        ". ".join(filter(None, [claim["says"], *remarks])),
        claim["expected"],
        _measured(claim),
        MISSING if p is None else p_value(p),
        str(claim["seeds"] or MISSING),
        _with_remarks(claim),
    ]


def _with_remarks(claim: Record) -> str:
    """The verdict, what it was before the correction, and what would decide it."""
    remarks: list[str] = []
    if claim["uncorrected"] != claim["outcome"]:
        remarks.append(f"{claim['uncorrected']} before the correction")
    if claim["needs"] is not None:
        remarks.append(needs(Need(**claim["needs"])))
    return f"{claim['verdict']} ({'; '.join(remarks)})" if remarks else claim["verdict"]


def _premises(claims: Iterable[Record]) -> list[list[str]]:
    """A line for each premise of the claims, in their order."""
    lines: dict[tuple[str, ...], None] = {}
    for claim in claims:
        for premise in claim["premises"]:
            says = premise["says"] or f"(of the claim: {claim['says']})"
            outcome = str(premise["outcome"])
            met = {"holds": "yes", "fails": "no"}.get(outcome, outcome)
            lines[says, premise["expected"], _measured(premise), met] = None
    return [list(line) for line in lines]


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
    yield markdown.table(headings, (_cell(cell, names) for cell in cells))


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
    """A number with its interval; JSON has null for an infinite end.

    Residues of rounding are shown as such only where all three numbers are residues.
    """
    numbers = [number for number in (value, low, high) if number is not None]
    text = measured if all(abs(number) < ROUNDING for number in numbers) else decimal
    ends = ("no bound" if end is None else text(end) for end in (low, high))
    return f"{text(value)} ({' to '.join(ends)})"


def _rank(verdict: str) -> tuple[int, str]:
    """The order of verdicts: by outcome, those without a scope first."""
    ranks = (rank for rank, outcome in enumerate(OUTCOMES) if verdict.startswith(outcome))
    return next(ranks, len(OUTCOMES)), verdict


def _verdict(words: str, count: int) -> str:
    """A verdict on so many claims: hold for these nets."""
    first, *others = words.split(" ")
    plural = {"holds": "hold", "fails": "fail"}
    return " ".join([plural.get(first, first) if count > 1 else first, *others])


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"
