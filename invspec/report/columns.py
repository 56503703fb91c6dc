"""The columns of records that are not their coordinates, in the order of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

VALUES = ("value", "low", "high", "n")
# the paper's number and its difference, if a report has some
BESIDE = ("published", "difference", "difference_low", "difference_high", "agrees")
PASSES = ("forwards", "backwards")
SECONDS = ("seconds_train", "seconds_perturb", "seconds_score")
CELL = (*VALUES, *BESIDE, "doubts", *PASSES, *SECONDS, "key")
NUMBER = (*VALUES, "seeds", "planned_seeds", "df", "doubts")
CHECK = ("check", "gates", *VALUES, "threshold", "status", "reason", "hint", "survivors", "seconds")
VERDICT = (
    *("claim", "says", "source", "outcome", "verdict", "uncorrected", "scope", "nets", "seeds"),
    *("df", "p", "p_corrected", "statistic", "value", "low", "high", "expected", "above", "below"),
    *("published", "missing_scores", "reason", "premises", "alternatives", "doubts"),
    *("needs_images", "needs_seeds"),
)

# what a side of a comparison has of a number
SIDE = (*VALUES, "seeds")
CONTRAST = (
    *("in_b", "outcome", "better", "difference", "low", "high", "uncorrected", "p", "p_corrected"),
    *("df", "scope", *(f"{side}_{name}" for side in "ab" for name in SIDE)),
    *("examples", "common", "nets", "reason", "doubts"),
)
SETTING = ("setting", "a", "b")

# the columns before the coordinates and those after them, of each kind of record
AROUND: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cells": ((), CELL),
    "numbers": (("section", "kind", "table", "measure"), NUMBER),
    "verdicts": (VERDICT, ()),
    "checks": ((), CHECK),
    "contrasts": (("measure",), CONTRAST),
}


def names(kind: str, records: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns of some records; coordinates that all have come before the others.

    Without records, these are all columns but the coordinates.
    """
    rows = list(records)
    present = dict.fromkeys(name for row in rows for name in row)
    if not rows:
        present = dict.fromkeys(name for part in AROUND[kind] for name in part)
    leading, trailing = ([name for name in part if name in present] for part in AROUND[kind])
    coordinates = [name for name in present if name not in (*leading, *trailing)]
    # sorted is stable: within both halves the order of the spec remains
    return [
        *leading,
        *sorted(coordinates, key=lambda name: not all(name in row for row in rows)),
        *trailing,
    ]
