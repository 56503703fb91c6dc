"""The report as LaTeX: a booktabs table of the claims and one for each layout."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from invspec.analysis.claims import Verdict
from invspec.report import beside, captions, health
from invspec.report.contents import Report
from invspec.report.figures import groups
from invspec.report.format import (
    Shown,
    expectation,
    heading_rows,
    published,
    shown_lines,
    statistic,
    statistic_and_interval,
)
from invspec.report.table import Table
from invspec.report.text import provenance_lines

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
    "\N{DAGGER}": r"$\dagger$",
    "\N{DEGREE SIGN}": r"$^\circ$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{SCRIPT SMALL L}": r"$\ell$",
}
# The letters for which LaTeX has a name; the others look like Latin ones.
_CAPITAL = (
    "Gamma",
    "Delta",
    "Theta",
    "Lamda",
    "Xi",
    "Pi",
    "Sigma",
    "Upsilon",
    "Phi",
    "Psi",
    "Omega",
)
_SMALL = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lamda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
    "omega",
)
# where LaTeX has another name than Unicode, or another letter under the name
_MACROS = {"lamda": "lambda", "Lamda": "Lambda", "epsilon": "varepsilon", "phi": "varphi"}


def _greek() -> Iterator[tuple[str, str]]:
    """Greek letters with their macros."""
    for case, letters in (("SMALL", _SMALL), ("CAPITAL", _CAPITAL)):
        for letter in letters:
            macro = _MACROS.get(letter, letter)
            yield unicodedata.lookup(f"GREEK {case} LETTER {letter}"), rf"$\{macro}$"


_ESCAPES.update(_greek())
# Points: a letter of a table, of a margin, and the space between two columns.
_LETTER, _SMALL_LETTER, _GAP = 5, 4, 12
# Points: a column of a paper in two columns has 240, and letters of a table that is shrunk from
# this to it are still as large as those of a footnote.
_WIDEST = 300
# The columns of the table of claims and how LaTeX sets each; empty ones are left out.
_CLAIM_COLUMNS = {
    "claim": r"p{0.3\textwidth}",
    "source": "l",
    "statistic": "l",
    "measured": "l",
    r"95 \% interval": "l",
    "expected": "l",
    "published": "l",
    "verdict": "l",
    "notes": r"p{0.2\textwidth}",
}


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; whitespace becomes one space, control characters go."""
    spaced = " ".join(text.split())
    return "".join(_ESCAPES.get(letter, letter) for letter in spaced if letter.isprintable())


def text(report: Report, figures: Iterable[str] = ()) -> str:
    """All tables of a report, with its health and its provenance.

    figures: the names of those figures whose files lie beside this one.
    """
    title, drawn = escape(report.plan.spec.title), figure_pieces(report, figures)
    packages = r"\usepackage{booktabs,graphicx}"
    head = f"% {title}: from invspec report --format latex; requires {packages}"
    words = [health.headline(report.health), *health.notes(report.health)]
    state = "\n\n".join(rf"\noindent {escape(sentence)}." for sentence in words)
    foot = _comment([*provenance_lines(report.provenance), report.provenance.command])
    return "\n\n".join([head, state, *pieces(report).values(), *drawn.values(), foot]) + "\n"


def pieces(report: Report) -> dict[str, str]:
    """Each table of a report as a float of its own, by a name that stays as the numbers change.

    The claims, then the tables, each named by its measure, and the paper's numbers beside ours. The
    label of a float is `tab:`, the name of the report, and this name.
    """
    named: dict[str, str] = {}
    counts, prefix = Counter[str](), stem(report)

    def add(name: str, float_of: Callable[[str], str]) -> None:
        counts[name] += 1
        unique = f"{name}-{counts[name]}" if counts[name] > 1 else name
        named[unique] = float_of(f"tab:{prefix}-{unique}")

    if report.verdicts:
        size = captions.size(report.plan.spec)
        add("claims", partial(_claims, report.verdicts, size))
    for table in report.tables:
        add(table.measure, partial(_table, table))
    for table in report.tables:
        if table.comparisons:
            add(f"{table.measure}-paper", partial(_beside, table))
    return named


def tables(report: Report) -> list[str]:
    """The float of each table, in the order of the report, labelled as in `pieces`."""
    floats = list(pieces(report).values())
    first = 1 if report.verdicts else 0
    return floats[first : first + len(report.tables)]


def figure_pieces(report: Report, figures: Iterable[str]) -> dict[str, str]:
    """The figures of these names as floats, by the names of their files, without suffix.

    The label of a float is `fig:` and this name.
    """
    drawn = dict(groups.named(report.tables))
    return {
        (name := figure_name(report, figure)): _figure(drawn[figure], name) for figure in figures
    }


def figure_name(report: Report, figure: str) -> str:
    """The name of a figure's file, without suffix."""
    return f"{stem(report)}-figure-{figure}"


def where(folder: Path) -> str:
    """A comment on how a paper in another folder finds the files of figures."""
    return _comment([rf"in another folder: \graphicspath{{{{{folder.as_posix()}/}}}}"])


def stem(report: Report) -> str:
    """How the names of a report's files and labels begin."""
    # TeX reads other letters of a file's name as commands
    return re.sub(r"[^\w.-]", "-", report.plan.spec.name, flags=re.ASCII)


def _figure(tables: Sequence[Table], name: str) -> str:
    first, numbers = tables[0], [number for table in tables for number in table.all_numbers]
    titles = dict.fromkeys(table.title for table in tables)
    note = "; ".join(filter(None, [captions.sample_sizes(numbers), first.metric, first.remark]))
    caption = escape(". ".join([*titles, note]) + ".")
    lines = [
        r"\begin{figure}",
        r"  \centering",
        rf"  \includegraphics[width=\linewidth]{{{name}}}",
        rf"  \caption{{{caption}}}",
        rf"  \label{{fig:{name}}}",
        r"\end{figure}",
    ]
    return "\n".join(lines)


def _comment(lines: Sequence[str]) -> str:
    """Lines as LaTeX comments; a setting may hold line breaks of its own."""
    return "\n".join(f"% {part}" for line in lines for part in line.splitlines())


def _float(
    caption: str, label: str, columns: str, lines: Sequence[str], is_wide: bool = False
) -> str:
    """A table with its caption; a wide one spans both columns of a paper that has two."""
    environment = "table*" if is_wide else "table"
    opening = [
        rf"\begin{{{environment}}}",
        r"  \centering",
        # many classes have none, as captions of figures are below
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{caption}}}",
        # a label is no text: LaTeX takes its letters as they are
        rf"  \label{{{label}}}",
        # no wider than its column, and no larger than the text
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{columns}}}",
    ]
    closing = [r"  \end{tabular}}", rf"\end{{{environment}}}"]
    return "\n".join([*opening, *(f"    {line}" for line in lines), *closing])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _claims(verdicts: Sequence[Verdict], size: str, label: str) -> str:
    rows = [_claim(verdict) for verdict in verdicts]
    columns = [column for column in zip(_CLAIM_COLUMNS, *rows, strict=True) if any(column[1:])]
    headings, *body = map(_row, zip(*columns, strict=True))
    lines = [r"\toprule", headings, r"\midrule", *body, r"\bottomrule"]
    heading = " ".join(filter(None, ["Claims and verdicts", size]))
    correction = captions.correction(verdicts)
    waiting = any(verdict.missing_scores for verdict in verdicts)
    sentences = [
        heading,
        *([correction[:1].upper() + correction[1:]] if correction else []),
        *([captions.NOT_COMPUTED] if waiting else []),
    ]
    caption = escape(". ".join(sentences) + ".")
    settings = "".join(_CLAIM_COLUMNS[heading] for heading, *_ in columns)
    return _float(caption, label, settings, lines, is_wide=True)


def _claim(verdict: Verdict) -> list[str]:
    """The cells of a claim, one for each of _CLAIM_COLUMNS."""
    said = filter(None, (verdict.claim.says, captions.reason(verdict)))
    cells = (
        "; ".join(said),
        verdict.claim.source or "",
        statistic(verdict),
        *statistic_and_interval(verdict),
        expectation(verdict),
        published(verdict),
        captions.outcome(verdict),
        "; ".join(captions.notes(verdict)),
    )
    doubt = captions.doubt(verdict)
    if doubt:
        cells = (f"{cells[0]} ({doubt})", *cells[1:])
    return [escape(cell) for cell in cells]


def _table(table: Table, label: str) -> str:
    summary = table.summary[:1].upper() + table.summary[1:]
    sentences = filter(None, [table.title, summary, captions.caption(table)])
    count = sum(len(block.column_values) for block in table.blocks)
    columns = "l" * len(table.rows) + "r" * count
    is_wide = _width(table) > _WIDEST
    return _float(escape(". ".join(sentences) + "."), label, columns, list(_lines(table)), is_wide)


def _width(table: Table) -> int:
    """About how wide a table is where nothing shrinks it, in points."""
    upper, lower = heading_rows(table)
    headings = [*(table.headings[name] for name in table.rows), *lower]
    rows = [
        [*map(_width_of_text, labels), *map(_width_of_number, numbers)]
        for labels, numbers in shown_lines(table)
    ]
    columns = _widths([[*map(_width_of_text, headings)], *rows])
    total, start = sum(columns), len(table.rows)
    for heading, count in upper:
        # a long heading stretches the columns below it
        below = sum(columns[start : start + count])
        total += max(_width_of_text(heading) + _GAP - below, 0)
        start += count
    return total


def _widths(rows: Sequence[Sequence[int]]) -> list[int]:
    """The width of each column from the widths of its cells."""
    return [max(column) + _GAP for column in zip(*rows, strict=True)]


def _width_of_text(text: str) -> int:
    return _LETTER * len(text)


def _width_of_number(number: Shown) -> int:
    return _LETTER * len(number.value) + _SMALL_LETTER * len(number.margin)


def _beside(table: Table, label: str) -> str:
    """Our numbers beside the paper's."""
    names = beside.headings(table)
    cells = [[*names, *beside.NUMBERS], *([*own, *numbers] for own, numbers in beside.rows(table))]
    heading, *rows = (_row([*map(escape, row)]) for row in cells)
    lines = [r"\toprule", heading, r"\midrule", *rows, r"\bottomrule"]
    waiting = any(comparison.ours is None for comparison in table.comparisons)
    sentences = (table.title, beside.title(table), beside.caption(table))
    caption = ". ".join([*sentences, *([captions.NOT_COMPUTED] if waiting else [])])
    columns = "l" * len(names) + "rrrll"
    width = sum(_widths([[*map(_width_of_text, row)] for row in cells]))
    return _float(escape(f"{caption}."), label, columns, lines, width > _WIDEST)


def _lines(table: Table) -> Iterator[str]:
    upper, lower = heading_rows(table)
    yield r"\toprule"
    if upper:
        yield from _spanning(upper, len(table.rows))
    row_headings = [table.headings[name] for name in table.rows]
    yield _row([escape(heading) for heading in (*row_headings, *lower)])
    yield r"\midrule"
    for merged, numbers in shown_lines(table):
        yield _row([*map(escape, merged), *map(_number, numbers)])
    yield r"\bottomrule"


def _spanning(headings: Sequence[tuple[str, int]], labels: int) -> Iterator[str]:
    """A row of headings that span some columns each, and the rules below them."""
    cells, rules, start = [""] * labels, list[str](), labels + 1
    for heading, count in headings:
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(heading)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
        start += count
    yield _row(cells)
    yield "".join(rules)


def _number(number: Shown) -> str:
    value, margin = escape(number.value), escape(number.margin)
    value = rf"\textbf{{{value}}}" if number.is_best else value
    return value + (rf" {{\scriptsize {margin}}}" if margin else "")
