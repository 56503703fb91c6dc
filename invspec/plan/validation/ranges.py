"""Claims that every possible number meets, or none: shares above -1, or above 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from invspec.errors import SpecError
from invspec.kinds import Measure
from invspec.ops.types import REALS, Range
from invspec.plan import coordinates
from invspec.spec.bounds import Bound
from invspec.spec.claims import Statement
from invspec.spec.numbers import Reduction
from invspec.spec.resolved import Spec
from invspec.spec.schema import Scalar
from invspec.spec.trees import Leaf, Node

# the words whose numbers reach the ends of their range only where two parts are opposite extremes
_RELATIVE = ("difference", "ratio", "correlation", "least_step", "greatest_step", "dominance")


def problem(spec: Spec, statement: Statement) -> SpecError | None:
    """The problem with a bound that no possible number fails, or that none meets.

    A share may well be 0 or 1, so that `above: 0` is a claim on it. A difference or correlation of
    -1, or a ratio of 0, is nothing but the extreme case, so that `above` it claims nothing.
    """
    possible, bound = _of_node(spec, statement.node), statement.claim.bound
    (least, most), (low, high) = possible, bound.open_range
    if high <= least or low >= most:
        return _refusal(statement, "cannot hold", possible, _overlapping(bound, possible))
    if (low < least or low == -math.inf) and (high > most or high == math.inf):
        return _refusal(statement, "cannot fail", possible, "give it an end within this range")
    is_plain = least >= 0 and not _is_relative(statement.node)
    if low > least or high < most or is_plain:
        return None
    hint = "give it an end within this range"
    return _refusal(statement, "fails only in the extreme case", possible, hint)


def _refusal(statement: Statement, verb: str, possible: Range, hint: str) -> SpecError:
    message = f"{statement.claim.bound} {verb}: the number is always {_shown(possible)}"
    return SpecError(message, hint=hint, path=statement.bound_path)


def _shown(possible: Range) -> str:
    least, most = possible
    if math.isinf(most):
        return f"{least:g} or more"
    return f"{most:g} or less" if math.isinf(least) else f"from {least:g} to {most:g}"


def _overlapping(bound: Bound, possible: Range) -> str:
    """A hint for a range beyond what is possible; shares may have been written in percent."""
    ends = (end for end in bound.range if math.isfinite(end))
    percent = max(map(abs, ends))
    if possible[1] == 1 and 1 < percent <= 100:
        return f"was {percent / 100:g} meant? shares are not in percent"
    return "give it an end within this range"


def _is_relative(part: Node | Leaf | float) -> bool:
    if not isinstance(part, Node):
        return False
    return part.word in _RELATIVE or any(map(_is_relative, part.parts))


# ─ arithmetic of ranges ───────────────────────────────────────────────────────────────────────────


def _of_part(spec: Spec, part: Node | Leaf | float) -> Range:
    """The least and largest number that a part can be."""
    if isinstance(part, Node):
        return _of_node(spec, part)
    return _of_leaf(spec, part) if isinstance(part, Leaf) else (part, part)


def _of_leaf(spec: Spec, leaf: Leaf) -> Range:
    return range_at(spec, leaf.measure, leaf.at)


def range_at(spec: Spec, measure: str, at: Mapping[str, Scalar]) -> Range:
    """The least and largest number that a measure can be at some coordinates."""
    quantity = str(at.get(f"{measure}.quantity", ""))
    return _hull(
        [
            cast(Measure, variant.method).range_of(quantity)
            for variant in spec.entries["measures"][measure].variants
            if all(
                coordinates.same(at.get(name, value), value)
                for name, value in variant.coords.items()
            )
        ]
    )


def _of_node(spec: Spec, node: Node) -> Range:
    range_ = _combined(node, [_of_part(spec, part) for part in node.parts])
    for reduction in node.over.values():
        range_ = _reduced(reduction, range_)
    return range_


def _combined(node: Node, parts: Sequence[Range]) -> Range:
    lows, highs = zip(*parts, strict=True)
    widths = sorted(high - low for low, high in parts)
    match node.word:
        case "value":
            return parts[0]
        case "difference":
            return lows[0] - highs[1], highs[0] - lows[1]
        case "ratio":
            return _ratio(parts[0], parts[1])
        case "sum":
            return sum(lows), sum(highs)
        case "least":
            return min(lows), min(highs)
        case "greatest":
            return max(lows), max(highs)
        case "correlation":
            return -1.0, 1.0
        case "least_step" | "greatest_step":
            return -widths[0], widths[0]
        case "dominance":
            # of two points each may lose to the other, in another number
            return -widths[-2], widths[0]


def _ratio(over: Range, under: Range) -> Range:
    if over[0] < 0 or under[0] < 0:
        return REALS
    least = over[0] / under[1] if 0 < under[1] < math.inf else 0.0
    return least, over[1] / under[0] if under[0] > 0 else math.inf


def _reduced(reduction: Reduction, range_: Range) -> Range:
    """Only a magnitude leaves the range of the numbers that it reduces."""
    low, high = range_
    if reduction != "magnitude":
        return range_
    return max(0.0, low, -high), max(abs(low), abs(high))


def _hull(ranges: Sequence[Range]) -> Range:
    if not ranges:
        return REALS
    return min(low for low, _ in ranges), max(high for _, high in ranges)
