"""Measures."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from invspec.kinds.method import Method
from invspec.ops.types import REALS, Range

if TYPE_CHECKING:
    from torch import Tensor, nn

    from invspec.data import Examples, Scored


Bound = Literal["upper", "lower", "exact"]


class Measure(Method):
    """One or several numbers computed from the results of attacks.

    takes: least and greatest number of attacks in `of`. A measure of one attack that has
    `damage` takes several in place of one, and gets the worst of their results for each example.
    takes_sweep: it takes one attack and scores all of its sweep at once, in the order of the spec.
    Other measures score each value of a sweep separately.
    wants_model: it calls the model. False for one that reads only what attacks stored: it gets no
    net, and may run without a device.
    wants_target: its last attack must run on pairs of a source and a target.
    wants_oracle: it calls examples.oracle, a second classifier used as ground truth, which the
    spec must name.
    figures: those besides lines, points and bands that its scores can be drawn as: matrix, heatmap,
    images or regions. A class of one's own may leave them out; a figure of what its scores lack is
    then noticed when they are drawn.
    """

    kind: ClassVar[str] = "measure"
    takes: ClassVar[tuple[int, int]] = (1, 1)
    takes_sweep: ClassVar[bool] = False
    wants_model: ClassVar[bool] = True
    wants_target: ClassVar[bool] = False
    wants_oracle: ClassVar[bool] = False
    figures: ClassVar[tuple[str, ...]] = ()

    @property
    def wants_several_targets(self) -> bool:
        """Whether it compares the target images of a class, and so needs more than one of each."""
        return False

    @property
    def bound(self) -> Bound | None:
        """What its numbers say of the truth where an attack is too weak.

        Robust accuracy is an upper bound: a stronger attack can only lower it. "exact" if the
        numbers do not depend on the attack, None if a stronger one may move them either way.
        """
        return None

    def range_of(self, quantity: str = "") -> Range:
        """The least and largest number of its rows; of all of them if no quantity is given.

        A claim that no such number can fail, or none can meet, is refused before a run.
        """
        return REALS

    @property
    def distance_label(self) -> str:
        """The distance that it uses, in words for captions; empty if it uses none."""
        return ""

    @property
    def limit_label(self) -> str:
        """The limit on that distance, in words for captions; empty if it has none."""
        return ""

    @abstractmethod
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        """Score the examples of one or several attacks on one model, which it leaves as it is.

        Outcomes are numbers within their range. The global generators are seeded meanwhile.
        """

    @classmethod
    def has_worst_case(cls) -> bool:
        """Whether it says which result of an attack is worse than another."""
        return issubclass(cls, Ranked)


@runtime_checkable
class Ranked(Protocol):
    """A measure for which one result of an attack can be worse than another."""

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        """How bad each result of an attack is for the model, (N,): the larger, the worse.

        Of several attacks in place of one, each example counts with the result of most damage.
        """
        ...
