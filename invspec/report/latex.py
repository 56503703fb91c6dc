"""The report as LaTeX: a booktabs table of the claims and one of every layout, to \\input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from invspec.analysis.claims import Verdict
from invspec.analysis.readings import Number
from invspec.plan.coordinates import shown
from invspec.report import table
from invspec.report.export import Report
from invspec.report.table import Table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "[": "{[}",
    "]": "{]}",
    "\N{MINUS SIGN}": "$-$",
    "\N{INFINITY}": r"$\infty$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{DEGREE SIGN}": r"$^\circ$",
}


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; line ends become spaces, control characters are dropped."""
    spaced = " ".join(text.split())
    return "".join(_ESCAPES.get(letter, letter) for letter in spaced if letter.isprintable())


def text(whole: Report) -> str:
    """Every table of the report."""
    head = [
        f"% {escape(whole.plan.spec.title)}: written by invspec report --format latex; needs \\usepackage{{booktabs}}"
    ]
    parts = [_claims(whole.verdicts)] if whole.verdicts else []
    return "\n\n".join(["\n".join(head), *parts, *map(_table, whole.tables)]) + "\n"


def _float(caption: str, columns: str, lines: Sequence[str]) -> str:
    opening = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
    ]
    return "\n".join(
        [*opening, *(f"    {line}" for line in lines), r"  \end{tabular}", r"\end{table}"]
    )


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _claims(verdicts: Sequence[Verdict]) -> str:
    heading = [
        "claim",
        "source",
        "statistic",
        "measured",
        "95 \\% interval",
        "asked",
        "published",
        "verdict",
    ]
    lines = [r"\toprule", _row(heading), r"\midrule", *map(_claim, verdicts), r"\bottomrule"]
    return _float("Claims and what became of them.", r"p{0.3\linewidth}lllllll", lines)


def _claim(verdict: Verdict) -> str:
    claim = verdict.claim
    published = "" if verdict.published is None else table.short(verdict.published)
    asked = [
        verdict.statistic,
        *table.statistic(verdict),
        table.bound(verdict),
        published,
        verdict.outcome,
    ]
    return _row([escape(cell) for cell in (claim.says, claim.source or "", *asked)])


def _table(one: Table) -> str:
    caption = ". ".join(
        part for part in (one.title, _sentence(one.about), table.caption(one)) if part
    )
    return _float(
        escape(caption + "."), "l" * len(one.rows) + "r" * len(one.across), list(_lines(one))
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lines(one: Table) -> Iterator[str]:
    start, wide = len(one.rows), len(one.across)
    yield r"\toprule"
    yield _row(
        [*[""] * start, rf"\multicolumn{{{wide}}}{{c}}{{{escape(one.headings[one.columns])}}}"]
    )
    yield rf"\cmidrule(lr){{{start + 1}-{start + wide}}}"
    yield _row(
        [escape(one.headings[name]) for name in one.rows]
        + [escape(shown(at) or "none") for at in one.across]
    )
    yield r"\midrule"
    for labels, line in zip(table.merged(one), one.lines, strict=True):
        yield _row(
            [*map(escape, labels), *(_number(number, one.decimals) for number in line.numbers)]
        )
    yield r"\bottomrule"


def _number(number: Number | None, decimals: int) -> str:
    value, around = table.parts(number, decimals)
    return escape(value) + (rf" {{\scriptsize {escape(around)}}}" if around else "")
