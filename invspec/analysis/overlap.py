"""Which examples two numbers were both measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from invspec.analysis.readings import Group
from invspec.kinds import Dataset, plain

Kind = Literal["same", "in part", "none", "unknown"]


@dataclass(frozen=True)
class Overlap:
    """Whether two numbers have the same examples: the number of those in both, of all in either.

    unknown: a score kept intervals and no outcomes. reason says what keeps them apart.
    """

    kind: Kind
    common: int = 0
    total: int = 0
    reason: str = ""

    @property
    def is_paired(self) -> bool:
        """Whether differences are paired by example, at least in part."""
        return self.kind in ("same", "in part")


def overlap(first: Group, second: Group) -> Overlap:
    """Which examples two groups of computed readings share."""
    if not (first.present and second.present):
        return Overlap("unknown", reason="not computed")
    if reason := _apart(first, second):
        return Overlap("none", reason=reason)
    own, other = _units(first), _units(second)
    if own is None or other is None:
        return Overlap("unknown", reason="the score keeps no outcomes")
    common, total = len(own & other), len(own | other)
    if own == other:
        return Overlap("same", common, total)
    return Overlap("in part" if common else "none", common, total, "other examples of the split")


def _apart(first: Group, second: Group) -> str:
    """Why the examples of two groups are not those of one split; empty if they may be."""
    datasets = [group.readings[0].cell.goal.train.dataset for group in (first, second)]
    if not _is_same(*datasets):
        return "other data sets"
    splits = {group.readings[0].cell.goal.of[0][0].sample.split for group in (first, second)}
    return "other splits" if len(splits) > 1 else ""


def _is_same(first: Dataset, second: Dataset) -> bool:
    return first == second or plain(first) == plain(second)


def _units(group: Group) -> frozenset[int] | None:
    """The examples, or sources of pairs, that any seed was measured on; None if not stored."""
    units: set[int] = set()
    for reading in group.present:
        if reading.computed.outcomes is None:
            return None
        units.update(reading.outcomes.index.tolist())
    return frozenset(units)
