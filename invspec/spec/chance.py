"""Ranges that chance alone satisfies: the extreme of several noisy numbers lies beyond them all."""

from __future__ import annotations

import math

from invspec.errors import SpecError
from invspec.spec.numbers import Quantile, Reduction
from invspec.spec.trees import Leaf, Node

UP, DOWN = 1, -1

_WORDS = {
    "greatest": UP,
    "magnitude": UP,
    "dominance": UP,
    "greatest_step": UP,
    "least": DOWN,
    "least_step": DOWN,
}


def problem(node: Node, bound: tuple[float, float]) -> SpecError | None:
    """The problem with a bound that an extreme satisfies even if all numbers equal their null.

    The null is 0, for a ratio 1. A plain measure may have any least value, so that only `below 0`
    is refused for it. Extremes that are subtracted from one another cancel out.
    """
    pushes = _pushes(node)
    null = 1.0 if node.word == "ratio" else 0.0
    low, high = bound
    if pushes == {UP} and high == math.inf and low <= null:
        return _refusal(node, f"above {low:g}", f"above: {null + 0.02:g}")
    is_beyond = high >= null if _has_null(node) else high == null
    if pushes == {DOWN} and low == -math.inf and is_beyond:
        return _refusal(node, f"below {high:g}", f"below: {null - 0.02:g}")
    return None


def _has_null(part: Node | Leaf | float) -> bool:
    """Whether a number is 0 (a ratio 1) where nothing differs: made of differences, not values."""
    if not isinstance(part, Node):
        return False
    if part.word in ("value", "sum", "least", "greatest"):
        return all(map(_has_null, part.parts))
    return True


def _refusal(node: Node, range_: str, margin: str) -> SpecError:
    message = f"chance alone puts {_extreme(node)} of several noisy numbers {range_}"
    return SpecError(message, hint=f"give a margin, like {margin}, or compare a fixed pair")


def _extreme(part: Node | Leaf | float) -> str:
    """The outermost extreme in a tree, as text."""
    if not isinstance(part, Node):
        return ""
    words = [str(word) for word in part.over.values() if _push(word)]
    if part.word in _WORDS:
        words.insert(0, part.word.replace("_", " "))
    inner = (_extreme(inner) for inner in part.parts)
    name = words[-1] if words else next(filter(None, inner), "")
    return "the " + name.removeprefix("the ") if name else ""


def _pushes(part: Node | Leaf | float) -> set[int]:
    """The directions in which noise pushes a number beyond what it estimates."""
    if not isinstance(part, Node):
        return set()
    parts = list(map(_pushes, part.parts))
    if part.word in ("difference", "ratio"):
        first, second = parts
        inside = first | {-push for push in second}
    elif part.word == "correlation":
        inside = set[int]()
    else:
        inside = set[int]().union(*parts)
    own = {_WORDS[part.word]} if part.word in _WORDS else set[int]()
    reductions = {push for word in part.over.values() if (push := _push(word))}
    return inside | own | reductions


def _push(reduction: Reduction) -> int:
    if isinstance(reduction, Quantile):
        return UP if reduction.quantile > 0.5 else DOWN if reduction.quantile < 0.5 else 0
    return _WORDS.get(reduction, 0)
