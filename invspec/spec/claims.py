"""Claims as their author writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from invspec.errors import SpecError
from invspec.registry import messages
from invspec.spec import chance, constant
from invspec.spec.bounds import Bound, Expectation, Statistic
from invspec.spec.labels import Section
from invspec.spec.numbers import Compare, Measured, Operation, Pick, Trend
from invspec.spec.published import PaperNumber
from invspec.spec.reader import Steps
from invspec.spec.trees import Node, tree

Form = Literal["value", "compare", "trend"]

# The forms of a claim, and the statistics of each; a value that is an operation has its word, too.
_STATISTICS: dict[Form, tuple[Statistic, ...]] = {
    "value": ("value",),
    "compare": ("difference", "ratio"),
    "trend": ("correlation", "least_step", "greatest_step"),
}


@dataclass(frozen=True)
class Statement:
    """A claim without premises and alternatives, and its number as a tree.

    bound_path is where its range is written.
    """

    claim: Claim
    node: Node
    bound_path: Steps


class Measurable(Section):
    """One of the forms of a number, and what is expected of it; either may be left out."""

    source: str | None = None
    published: PaperNumber | None = None
    value: Measured | None = None
    compare: Compare | None = None
    trend: Trend | None = None
    expect: Expectation | None = None

    @property
    def forms(self) -> list[Form]:
        """Those of value, compare and trend that are given."""
        return [form for form in _STATISTICS if getattr(self, form) is not None]

    @property
    def form(self) -> Form:
        """value, compare or trend."""
        return self.forms[0]

    @property
    def pick(self) -> Pick | Operation:
        """The number of the claim's form."""
        return getattr(self, self.form)

    @property
    def bound(self) -> Bound:
        """The bound on the statistic."""
        assert self.expect is not None, "checked when the claim was read"
        (bound,) = self.expect.values()
        return bound

    @property
    def statistic(self) -> Statistic:
        """The statistic that the bound is on."""
        assert self.expect is not None, "checked when the claim was read"
        (statistic,) = self.expect
        operation = self.pick
        if statistic == "value" and isinstance(operation, Operation):
            return operation.word
        return statistic

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of its number, once each."""
        leaves = self.node(()).leaves
        return tuple(dict.fromkeys(leaf.measure for leaf in leaves))

    def node(self, path: Steps) -> Node:
        """The number as a tree; path is where the form is written."""
        return tree(self.pick, self.statistic, path)

    def check_complete(self) -> None:
        """Raises ValueError unless there are one form and a bound on one of its statistics."""
        if len(self.forms) != 1:
            listed = " and ".join(self.forms) or "none"
            raise ValueError(f"expected one of value, compare and trend, found {listed}")
        if self.expect is None:
            raise messages.NestedError(SpecError("is missing", path=("expect",)))
        (statistic,), wanted = self.expect, _STATISTICS[self.form]
        if isinstance(self.pick, Operation):
            wanted = (self.pick.word, *wanted)
        if statistic not in wanted:
            listed = " or ".join(wanted)
            message = f"a {self.form} claim expects a bound on its {listed}, found {statistic}"
            raise ValueError(message)
        node = self.node((self.form,))
        if problem := constant.problem(node):
            raise messages.NestedError(problem)
        if problem := chance.problem(node, self.bound.range):
            raise messages.NestedError(problem.within("expect"))


class Premise(Measurable):
    """What must be true of the nets for a claim to be tested."""

    says: str | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self.check_complete()
        return self

    def as_claim(self) -> Claim:
        """The premise as a claim of its own."""
        keys = dict[str, Any](self)
        return Claim.model_construct(None, **{**keys, "says": self.says or ""})


class Alternative(Measurable):
    """One of several exclusive statements; what it does not say is taken from its claim."""

    says: str


def _premises(value: Any) -> Any:
    """A single premise counts as a list of one."""
    return [value] if isinstance(value, dict) else value


class Claim(Measurable):
    """A sentence of a paper and the number that would confirm it.

    `published` is the paper's own number. `given` are premises, `one_of` exclusive alternatives.
    """

    says: str
    given: Annotated[tuple[Premise, ...], BeforeValidator(_premises)] = ()
    one_of: Annotated[tuple[Alternative, ...], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.one_of is None:
            self.check_complete()
            return self
        for number, alternative in enumerate(self.alternatives):
            try:
                alternative.check_complete()
            except messages.NestedError as problem:
                raise messages.NestedError(problem.error.within("one_of", number)) from None
            except ValueError as problem:
                error = SpecError(str(problem), path=("one_of", number))
                raise messages.NestedError(error) from None
        _check_exclusive(self.alternatives)
        return self

    @property
    def alternatives(self) -> tuple[Claim, ...]:
        """A complete claim for each alternative; the claim itself if it has none."""
        if self.one_of is None:
            return (self,)
        return tuple(map(self._completed, self.one_of))

    def _completed(self, alternative: Alternative) -> Claim:
        own = {name: getattr(alternative, name) for name in alternative.model_fields_set}
        forms = set[str]() if alternative.forms else set(self.forms)
        shared = {
            name: getattr(self, name)
            for name in (*forms, "source", "expect", "published")
            if name not in own
        }
        return Claim.model_construct(None, **{**shared, **own})

    def premises(self, number: int) -> tuple[Statement, ...]:
        """A statement for each premise; number is the claim's place in the spec."""
        paths: Iterable[Steps] = (
            ("claims", number, "given", place) for place in range(len(self.given))
        )
        return tuple(
            Statement(premise.as_claim(), premise.node((*at, premise.form)), (*at, "expect"))
            for premise, at in zip(self.given, paths, strict=True)
        )

    def statements(self, number: int) -> tuple[Statement, ...]:
        """A statement for each alternative; number is the claim's place in the spec."""
        path: Steps = ("claims", number)
        if self.one_of is None:
            return (Statement(self, self.node((*path, self.form)), (*path, "expect")),)
        return tuple(
            self._alternative(alternative, claim, path, place)
            for place, (alternative, claim) in enumerate(
                zip(self.one_of, self.alternatives, strict=True)
            )
        )

    def _alternative(self, own: Alternative, claim: Claim, path: Steps, place: int) -> Statement:
        """The statement of an alternative, which has some keys of its own."""
        inside: Steps = (*path, "one_of", place)
        node = claim.node((*(inside if own.forms else path), claim.form))
        return Statement(claim, node, (*(path if own.expect is None else inside), "expect"))


def _check_exclusive(alternatives: Sequence[Claim]) -> None:
    """Raises NestedError if two alternatives expect the same number in ranges that overlap."""
    for number, second in enumerate(alternatives):
        for first in alternatives[:number]:
            if first.says == second.says:
                message = f"two alternatives say {first.says!r}"
                hint = "the verdict names the one that holds: give each a text of its own"
                error = SpecError(message, hint=hint, path=("one_of", number, "says"))
                raise messages.NestedError(error)
            if (first.statistic, first.pick) != (second.statistic, second.pick):
                continue
            low = max(first.bound.range[0], second.bound.range[0])
            high = min(first.bound.range[1], second.bound.range[1])
            if low < high:
                both = f"{first.says!r} and {second.says!r}"
                message = f"{both} expect the same number, and both allow {low:g} to {high:g}"
                hint = "exclusive alternatives need ranges that do not overlap"
                error = SpecError(message, hint=hint, path=("one_of", number, "expect"))
                raise messages.NestedError(error)
