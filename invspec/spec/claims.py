"""Claims as their author writes them."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from invspec.kinds import Number
from invspec.registry import messages
from invspec.spec.labels import Coords, Section

Reduction = Literal["mean", "area", "least", "greatest", "magnitude"]
Statistic = Literal["value", "difference", "ratio", "correlation"]


class Pick(Section):
    """Cells of one measure at the coordinates in `at`, reduced over the coordinates in `over`.

    Seeds are always averaged. `area` is the area under the profile divided by its width,
    `magnitude` the largest absolute value.
    """

    measure: str
    at: Coords = Field(default={})
    over: dict[str, Reduction] = Field(default={})


class Compare(Pick):
    """Two picks, at `of` and at `to`: the first minus the second, or divided by it."""

    of: Coords
    to: Coords


class Trend(Pick):
    """A pick for each value of the coordinate `along`, and their rank correlation with it."""

    along: str


class Bound(Section):
    """The range that a number must be in. `near` needs `within`."""

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

    @property
    def range(self) -> tuple[float, float]:
        """The open interval that the number must be in."""
        low = -math.inf if self.above is None else self.above
        high = math.inf if self.below is None else self.below
        if self.near is not None and self.within is not None:
            low, high = max(low, self.near - self.within), min(high, self.near + self.within)
        return low, high


# The forms of a claim, and the statistics of each.
_STATISTICS: dict[str, tuple[Statistic, ...]] = {
    "value": ("value",),
    "compare": ("difference", "ratio"),
    "trend": ("correlation",),
}

_SHORTHANDS = {
    "rising": {"correlation": {"above": 0.0}},
    "falling": {"correlation": {"below": 0.0}},
}


def _expectation(value: Any) -> Any:
    """`rising` and `falling` are short for a correlation above and below 0."""
    if isinstance(value, str) and value in _SHORTHANDS:
        return _SHORTHANDS[value]
    if not isinstance(value, dict) or len(cast(dict[str, Any], value)) != 1:
        wanted = "rising, falling, or one statistic, like {value: {above: 0.5}}"
        raise ValueError(f"expected {wanted}, found {messages.shown(value)}")
    return cast(dict[str, Any], value)


class Claim(Section):
    """A sentence of a paper and the number that would confirm it.

    `published` is the paper's own number.
    """

    says: str
    source: str | None = None
    published: Number | None = None
    value: Pick | None = None
    compare: Compare | None = None
    trend: Trend | None = None
    expect: Annotated[dict[Statistic, Bound], BeforeValidator(_expectation)]

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        forms = [form for form in _STATISTICS if getattr(self, form) is not None]
        if len(forms) != 1:
            listed = " and ".join(forms) or "none"
            raise ValueError(f"expected one of value, compare and trend, found {listed}")
        if self.statistic not in _STATISTICS[forms[0]]:
            wanted = " or ".join(_STATISTICS[forms[0]])
            message = f"a {forms[0]} claim expects a bound on its {wanted}, found {self.statistic}"
            raise ValueError(message)
        return self

    @property
    def statistic(self) -> Statistic:
        """The statistic that the bound is on."""
        return next(iter(self.expect))

    @property
    def bound(self) -> Bound:
        """The bound on the statistic."""
        return self.expect[self.statistic]

    @property
    def form(self) -> str:
        """value, compare or trend."""
        return next(form for form in _STATISTICS if getattr(self, form) is not None)

    @property
    def pick(self) -> Pick:
        """The pick of the claim's form."""
        return getattr(self, self.form)
