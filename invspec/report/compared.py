"""A comparison of two studies as a value: its sheets for a reader, its records for a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from invspec.analysis.contrasts import Contrast, Outcome, contrasts
from invspec.analysis.estimator import Summary
from invspec.analysis.sides import Side
from invspec.analysis.significance import LEVEL
from invspec.errors import counted
from invspec.plan import coordinates, matching
from invspec.report import captions, provenance, units
from invspec.report.columns import SIDE
from invspec.report.format import DAGGER, MISSING, interval, measured
from invspec.report.provenance import Call
from invspec.report.settings import Difference, differences
from invspec.report.sheets import Sheet

Record = dict[str, Any]
# the text of a row in a column
Column = Callable[[Contrast], str]
WORDS: dict[Outcome, str] = {
    "higher": "B higher",
    "lower": "B lower",
    "equal": "equal to the last bit",
    "missing": "not computed",
}
# in this order they are counted
COUNTED: tuple[Outcome, ...] = (
    *("higher", "lower", "not decided", "equal", "not comparable", "missing"),
    *("only in A", "only in B"),
)
NETS = {
    "same nets": "on the same nets",
    "by seed": "nets paired seed by seed",
    "independent trainings": "nets trained apart",
}
NOTHING = "no setting, version or machine differs"


@dataclass(frozen=True, eq=False)
class Compared:
    """Two studies side by side: a row for each number, and the settings that differ."""

    first: Side
    second: Side
    commands: tuple[str, str]
    contrasts: tuple[Contrast, ...]
    settings: tuple[Difference, ...]


def compared(
    first: Side, second: Side, calls: tuple[Call, Call], matches: Sequence[str] = ()
) -> Compared:
    """Compare two studies.

    calls: the folders that each was given, for the commands that the comparison shows. matches:
    texts A=B, of labels and values that are to be compared although they differ.

    Raises: SpecError for a match that is not of this form, or of which one study has nothing.
    """
    own = matching.read(matches)
    facts = [
        (side.plan.spec, provenance.gather(side.plan, side.store, call))
        for side, call in zip((first, second), calls, strict=True)
    ]
    return Compared(
        first,
        second,
        (facts[0][1].command, facts[1][1].command),
        tuple(contrasts(first, second, own)),
        (*_other_versions(first, second), *differences(facts[0], facts[1], own)),
    )


def _other_versions(first: Side, second: Side) -> Iterator[Difference]:
    """The results that were stored under other keys, as those of other versions are."""
    if first.others or second.others:
        counts = (f"{side.others:,}" for side in (first, second))
        yield Difference("results of other versions of methods", *counts)


# ─ for a file ─────────────────────────────────────────────────────────────────────────────────────


def records(comparison: Compared) -> list[Record]:
    """One record for each number of A or B: both values, the difference and what it decides."""
    return [_record(row) for row in comparison.contrasts]


def _record(row: Contrast) -> Record:
    shared = row.overlap
    return {
        **row.coords,
        "in_b": _in_b(row),
        "outcome": row.outcome,
        "better": {True: "B", False: "A", None: ""}[row.is_better],
        "difference": row.difference,
        "low": row.low,
        "high": row.high,
        "uncorrected": row.raw if row.difference is not None else "",
        "p": row.p,
        "p_corrected": row.corrected_p,
        "df": row.df if math.isfinite(row.df) else None,
        "scope": row.scope,
        **_side("a", row.a),
        **_side("b", row.b),
        "examples": "" if shared is None else shared.kind,
        "common": None if shared is None else shared.common,
        "nets": row.nets or "",
        "reason": row.reason,
        "doubts": "; ".join(row.doubts),
    }


def _side(name: str, number: Summary | None) -> Record:
    values = Record() if number is None else asdict(number)
    return {f"{name}_{part}": values.get(part) for part in SIDE}


def setting_records(comparison: Compared) -> list[Record]:
    """One record for each setting, version or machine in which A and B differ."""
    return [asdict(difference) for difference in comparison.settings]


def body(comparison: Compared) -> Record:
    """The whole comparison for a file in JSON."""
    return {
        "a": comparison.commands[0],
        "b": comparison.commands[1],
        "counts": dict(Counter(row.outcome for row in comparison.contrasts)),
        "settings": setting_records(comparison),
        "numbers": records(comparison),
    }


# ─ for a reader ───────────────────────────────────────────────────────────────────────────────────


def sheets(comparison: Compared) -> list[Sheet]:
    """What is compared, the settings that differ, and a table for each measure."""
    first, second = comparison.commands
    rows = comparison.contrasts
    by_measure = dict.fromkeys(row.coords["measure"] for row in rows)
    return [
        Sheet("Comparison", notes=(f"A: {first}", f"B: {second}")),
        _settings(comparison.settings),
        *(
            _measure(comparison, str(name), [row for row in rows if row.coords["measure"] == name])
            for name in by_measure
        ),
        Sheet(tally(rows), notes=tuple(_notes(rows))),
    ]


def _settings(rows: Sequence[Difference]) -> Sheet:
    title = "What differs in the settings"
    if not rows:
        return Sheet(title, notes=(NOTHING,))
    body = tuple((row.setting, row.a or MISSING, row.b or MISSING) for row in rows)
    return Sheet(title, ("setting", "A", "B"), body)


def _measure(comparison: Compared, name: str, rows: Sequence[Contrast]) -> Sheet:
    """The rows of one measure; what all have in common is left to a note."""
    has_own = any(row.outcome != "only in B" for row in rows)
    spec = (comparison.first if has_own else comparison.second).plan.spec
    names = {**comparison.second.plan.spec.names, **comparison.first.plan.spec.names}
    pairings = list(dict.fromkeys(filter(None, map(pairing, rows))))
    columns: dict[str, Column] = {
        **{
            names.get(coordinate) or units.heading(spec, coordinate): partial(
                _coordinate, coordinate, names
            )
            for coordinate in coordinates.varying((row.coords for row in rows), but=("measure",))
        },
        **({"in B": _in_b} if any(row.in_b for row in rows) else {}),
        **NUMBERS,
        "outcome": outcome,
        **({"pairing": pairing} if len(pairings) > 1 else {}),
    }
    return Sheet(
        names.get(name, name),
        tuple(columns),
        tuple(tuple(text(row) for text in columns.values()) for row in rows),
        frozenset(NUMBERS),
        tuple(
            filter(None, (captions.summary(spec, name), *(pairings if len(pairings) == 1 else ())))
        ),
    )


def _coordinate(name: str, names: Mapping[str, str], row: Contrast) -> str:
    text = coordinates.shown(row.coords.get(name))
    return names.get(text, text)


def _in_b(row: Contrast) -> str:
    """The coordinates that B has otherwise: pgd.eps 0.2, defence standard."""
    return ", ".join(
        f"{name} {coordinates.shown(value) or 'not swept'}" for name, value in row.in_b.items()
    )


def _value(number: Summary | None) -> str:
    return MISSING if number is None else measured(number.value)


def _difference(row: Contrast) -> str:
    if row.difference is None:
        return MISSING
    return measured(row.difference) + (DAGGER if row.doubts else "")


def _interval(row: Contrast) -> str:
    return "" if row.low is None or row.high is None else interval(row.low, row.high)


NUMBERS: dict[str, Column] = {
    "A": lambda row: _value(row.a),
    "B": lambda row: _value(row.b),
    "B - A": _difference,
    "95 % interval": _interval,
}


def outcome(row: Contrast) -> str:
    """The outcome in words: B higher, better; not decided; not computed in B."""
    if row.outcome in ("missing", "not comparable"):
        return row.reason
    word = WORDS.get(row.outcome, row.outcome)
    if row.outcome in ("higher", "lower") and row.is_better is not None:
        return f"{word}, {'better' if row.is_better else 'worse'}"
    return word


def pairing(row: Contrast) -> str:
    """How a difference is paired, in words; empty where there is none."""
    if row.overlap is None or row.nets is None:
        return ""
    shared = row.overlap
    if shared.kind == "same":
        by_example = f"paired by example ({shared.common:,})"
    elif shared.kind == "in part":
        by_example = f"paired by example in part ({shared.common:,} of {shared.total:,})"
    else:
        by_example = f"not paired by example: {shared.reason}"
    scope = "; of these nets alone" if row.scope == "nets" else ""
    return f"{by_example}, {NETS[row.nets]}{scope}"


def tally(rows: Iterable[Contrast]) -> str:
    """How many differences there are of each outcome, in words."""
    counts = Counter(row.outcome for row in rows)
    words = [f"{counts[name]:,} {WORDS.get(name, name)}" for name in COUNTED if counts[name]]
    return f"{counted(sum(counts.values()), 'number')}: {', '.join(words)}"


def _notes(rows: Sequence[Contrast]) -> Iterator[str]:
    tested = sum(row.p is not None for row in rows)
    if tested:
        share = f"at most {LEVEL:.0%}".replace("%", " %")
        yield (
            f"outcomes are corrected for {counted(tested, 'difference')} (Holm): the chance of any "
            f"false one is {share}; intervals are not corrected"
        )
    if any(row.is_better is not None for row in rows):
        yield (
            "better and worse are said of numbers that a stronger attack can move one way only; a "
            "side that was attacked more strongly looks worse for it"
        )
    doubts = dict.fromkeys(doubt for row in rows for doubt in row.doubts)
    for doubt in doubts:
        yield f"{DAGGER} in doubt: {doubt}"
