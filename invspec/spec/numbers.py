"""The numbers that claims are about, as their author writes them: picks and operations."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from invspec.errors import SpecError, SpecErrors, suggest
from invspec.kinds import Number
from invspec.registry import messages
from invspec.spec.labels import Coords, Labels, Section

Pointwise = Literal["difference", "ratio", "sum", "least", "greatest"]
Along = Literal["correlation", "least_step", "greatest_step"]
Across = Literal["correlation", "dominance"]
Word = Literal[
    "value",
    "difference",
    "ratio",
    "sum",
    "least",
    "greatest",
    "correlation",
    "least_step",
    "greatest_step",
    "dominance",
]
POINTWISE: tuple[str, ...] = get_args(Pointwise)


class Quantile(Section):
    """A quantile of several numbers, interpolated between the two nearest."""

    quantile: Annotated[Number, Field(gt=0, lt=1)]


def _explained(model: type[BaseModel], value: Mapping[str, Any]) -> BaseModel:
    """The value as a model; its mistakes as SpecErrors, which keep their hints."""
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        errors = list(messages.explain(problem, model, value))
    raise messages.NestedError(errors[0] if len(errors) == 1 else SpecErrors(errors))


ReductionWord = Literal["mean", "median", "area", "least", "greatest", "magnitude"]


def _reduction(value: Any) -> Any:
    if isinstance(value, dict):
        return _explained(Quantile, cast(dict[str, Any], value))
    words = get_args(ReductionWord)
    if not isinstance(value, Quantile) and value not in words:
        wanted = f"{', '.join(words)} or {{quantile: 0.9}}"
        hint = suggest(str(value), words)
        message = f"expected {wanted}, found {messages.shown(value)}"
        raise messages.NestedError(SpecError(message, hint=hint))
    return value


Reduction = Annotated[ReductionWord | Quantile, BeforeValidator(_reduction)]


class Pick(Section):
    """Cells of one measure at the coordinates in `at`, reduced over the coordinates in `over`.

    Seeds are always averaged. `area` is the area under the profile divided by its width,
    `magnitude` the largest absolute value. `as` gives coordinates other names outside of `at`.
    """

    measure: str
    at: Coords = Field(default={})
    over: dict[str, Reduction] = Field(default={})
    renamed: dict[str, str] = Field(default={}, alias="as")


class Compare(Pick):
    """Two picks, at `of` and at `to`: the first minus the second, or divided by it."""

    of: Coords
    to: Coords


class Trend(Pick):
    """A pick for each value of the coordinate `along`, and their rank correlation with it."""

    along: str


def _number(value: Any) -> Any:
    """A mapping with the word of an operation is one, any other a pick; the rest are numbers."""
    if isinstance(value, dict):
        keys = cast(dict[str, Any], value)
        is_operation = any(get_close_matches(key, WORDS, n=1, cutoff=0.8) for key in keys)
        return _explained(Operation if is_operation else Pick, keys)
    return _measured(value) if isinstance(value, list | tuple) or value is None else value


def _measured(value: Any) -> Any:
    """A pick or an operation."""
    if isinstance(value, dict):
        return _number(value)
    if not isinstance(value, Section):
        wanted = "a pick, like {measure: accuracy}, or an operation, like {difference: [...]}"
        raise ValueError(f"expected {wanted}, found {messages.shown(value)}")
    return value


def _parts(value: Any) -> Any:
    """The parts of an operation: a list of several numbers, at least one of them measured."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list of numbers, found {messages.shown(value)}")
    parts = cast(list[Any], value)
    if len(parts) < 2:
        raise ValueError(f"expected at least two numbers, found {len(parts)}")
    if not any(isinstance(part, dict | Section) for part in parts):
        raise ValueError(f"expected a measured number, found only {messages.shown(parts)}")
    return parts


def _correlated(value: Any) -> Any:
    return _parts(value) if isinstance(value, list | tuple) else value


Measured = Annotated["Pick | Operation", BeforeValidator(_measured)]
Part = Annotated["Pick | Operation | Number", BeforeValidator(_number)]
Two = Annotated[tuple[Part, Part], BeforeValidator(_parts)]
Several = Annotated[tuple[Part, ...], Field(min_length=2), BeforeValidator(_parts)]


class Operation(Section):
    """A number made of others; `over` reduces its result, `at` applies to all picks inside.

    difference, ratio, sum, least, greatest: of its parts, at every point.
    correlation: the rank correlation of a number with the coordinate `along`, or of two numbers
    `across` the points of some coordinates. Ties have their mean rank; it is 0 if either is
    constant.
    least_step, greatest_step: from one value of the coordinate `along` to the next.
    dominance: by how much one point of `across` exceeds another in all parts, for the pair of
    points where that is most. It is negative if every point loses something to every other.
    """

    difference: Two | None = None
    ratio: Two | None = None
    sum: Several | None = None
    least: Several | None = None
    greatest: Several | None = None
    correlation: Annotated[
        tuple[Measured, Measured] | Measured | None, BeforeValidator(_correlated)
    ] = None
    least_step: Measured | None = None
    greatest_step: Measured | None = None
    dominance: Annotated[
        tuple[Measured, ...] | None, Field(min_length=2), BeforeValidator(_correlated)
    ] = None
    along: str | None = None
    across: Labels | None = None
    at: Coords = Field(default={})
    over: dict[str, Reduction] = Field(default={})

    @model_validator(mode="after")
    def _is_one_operation(self) -> Self:
        words = [word for word in WORDS if getattr(self, word) is not None]
        if len(words) != 1:
            listed = " and ".join(words) or "none"
            raise ValueError(f"expected one of {', '.join(WORDS)}, found {listed}")
        self._check_axis("along", not self.is_across and words[0] not in POINTWISE)
        self._check_axis("across", self.is_across)
        return self

    def _check_axis(self, key: str, is_wanted: bool) -> None:
        if is_wanted == (getattr(self, key) is not None):
            return
        if is_wanted:
            raise messages.NestedError(SpecError("is missing", path=(key,)))
        hint = "correlation of one number and steps take along; of several, and dominance, across"
        message = f"{self.word} takes no {key}"
        raise messages.NestedError(SpecError(message, hint=hint, path=(key,)))

    @property
    def word(self) -> Word:
        """The operation."""
        return next(word for word in WORDS if getattr(self, word) is not None)

    @property
    def is_across(self) -> bool:
        """Whether it relates several numbers across points."""
        return self.word == "dominance" or isinstance(self.correlation, tuple)

    @property
    def parts(self) -> tuple[Pick | Operation | float, ...]:
        """The numbers that it is made of."""
        parts = getattr(self, self.word)
        return parts if isinstance(parts, tuple) else (parts,)


WORDS: tuple[Word, ...] = tuple(word for word in get_args(Word) if word != "value")
Operation.model_rebuild()
