"""Ranges that a claim's number is expected in."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self, cast, get_args

from pydantic import BeforeValidator, Field, model_validator

from invspec.errors import SpecError, suggest
from invspec.kinds import Number
from invspec.registry import messages
from invspec.spec.labels import Section
from invspec.spec.numbers import Word

Statistic = Word

# by how much a number is rounded, relative to its size
ROUNDING = 1e-12


class Bound(Section):
    """The range that a number must be in: beyond `above` and `below`, at most `within` of `near`.

    `near` needs `within`.
    """

    above: Number | None = None
    below: Number | None = None
    near: Number | None = None
    within: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if (self.near is None) != (self.within is None):
            alone = "near" if self.within is None else "within"
            raise ValueError(f"expected near and within together, found {alone} alone")
        if self.above is None and self.below is None and self.near is None:
            raise ValueError("expected above, below, or near with within, found none of them")
        low, high = self.range
        if low >= high:
            raise ValueError(f"no number is both above {low:g} and below {high:g}")
        return self

    def __str__(self) -> str:
        return " ".join(f"{word} {limit:g}" for word, limit in self if limit is not None)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest end of the interval that the number must be in."""
        low, high = self._open
        if self.near is not None and self.within is not None:
            low, high = max(low, self.near - self.within), min(high, self.near + self.within)
        return low, high

    @property
    def open_range(self) -> tuple[float, float]:
        """The open interval that the number must be in; it has the ends of `near` inside."""
        low, high = self._open
        if self.near is not None and self.within is not None:
            # a number that is as far away as `within` says may be further by the rounding of both
            margin = self.within + ROUNDING * max(1.0, abs(self.near) + self.within)
            low, high = max(low, self.near - margin), min(high, self.near + margin)
        return low, high

    @property
    def _open(self) -> tuple[float, float]:
        low = -math.inf if self.above is None else self.above
        return low, math.inf if self.below is None else self.below


# What rising and falling are short for: of the whole profile, and of every step.
_SHORTHANDS: dict[str, tuple[Statistic, Statistic, dict[str, float]]] = {
    "rising": ("correlation", "least_step", {"above": 0.0}),
    "falling": ("correlation", "greatest_step", {"below": 0.0}),
}


def _expectation(value: Any) -> Any:
    """`rising` and `falling` are short for bounds on a correlation or on every step."""
    if isinstance(value, str) and value in _SHORTHANDS:
        correlation, _, bound = _SHORTHANDS[value]
        return {correlation: bound}
    if not isinstance(value, dict) or len(cast(dict[str, Any], value)) != 1:
        wanted = "rising, falling, or one statistic, like {value: {above: 0.5}}"
        raise ValueError(f"expected {wanted}, found {messages.shown(value)}")
    ((word, bound),) = cast(dict[str, Any], value).items()
    if word in _SHORTHANDS:
        return _monotone(word, bound)
    if word not in get_args(Statistic):
        words = (*get_args(Statistic), *_SHORTHANDS)
        error = SpecError(f"unknown statistic {word!r}", hint=suggest(word, words), path=(word,))
        raise messages.NestedError(error)
    return value


def _monotone(word: str, value: Any) -> dict[Statistic, Any]:
    if not isinstance(value, dict) or list(cast(dict[str, Any], value)) != ["every_step"]:
        raise ValueError(f"expected {{every_step: true}} in {word}, found {messages.shown(value)}")
    correlation, step, bound = _SHORTHANDS[word]
    every = cast(dict[str, Any], value)["every_step"]
    if isinstance(every, bool):
        return {step if every else correlation: bound}
    (side,) = bound
    if not isinstance(every, dict) or list(cast(dict[str, Any], every)) != [side]:
        wanted = f"true, or the least step as {{{side}: {'-' if word == 'rising' else ''}0.01}}"
        raise ValueError(f"expected {wanted}, found {messages.shown(every)}")
    return {step: every}


Expectation = Annotated[dict[Statistic, Bound], BeforeValidator(_expectation)]
