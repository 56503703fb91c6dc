"""Every form of a claim as one expression tree: leaves are picks of cells, nodes operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from invspec.spec.labels import Coords
from invspec.spec.numbers import Compare, Operation, Pick, Reduction, Trend, Word
from invspec.spec.reader import Steps


@dataclass(frozen=True)
class Place:
    """Coordinates that narrow a leaf, and where they are written."""

    coords: Coords
    path: Steps


@dataclass(frozen=True)
class Leaf:
    """The cells of a measure at some places.

    renamed maps its own names of coordinates to those used by the nodes around it. A leaf that may
    be constant need not have the coordinates of the nodes around it.
    """

    measure: str
    places: tuple[Place, ...]
    path: Steps
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    may_be_constant: bool = False

    @property
    def at(self) -> Coords:
        """All coordinates that narrow it."""
        return {name: value for place in self.places for name, value in place.coords.items()}

    def own(self, name: str) -> str:
        """Its own name of a coordinate."""
        return next((old for old, new in self.renamed.items() if new == name), name)


@dataclass(frozen=True)
class Node:
    """An operation on its parts, reduced over the coordinates in `over` afterwards.

    along is the coordinate of a trend or of steps; across names the coordinates, or kinds of
    labels, whose combinations are the points of a correlation of two numbers or a dominance.
    """

    word: Word
    parts: tuple[Node | Leaf | float, ...]
    path: Steps
    over: Mapping[str, Reduction] = field(default_factory=dict[str, Reduction])
    along: str | None = None
    across: tuple[str, ...] = ()

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Its leaves from left to right."""
        return tuple(_leaves(self))

    @property
    def own_axes(self) -> tuple[str, ...]:
        """The coordinates that it consumes, in the order in which points list them."""
        along = () if self.along is None else (self.along,)
        return (*self.over, *along, *self.across)

    @property
    def is_compare(self) -> bool:
        """Whether it is the short form of two picks, which share their place in the spec."""
        return len(self.parts) == 2 and all(part.path == self.path for part in self.leaves)

    def where(self, name: str) -> Steps:
        """Where a coordinate that it consumes is written."""
        if name in self.over:
            return (*self.path, "over", name)
        return (*self.path, "along" if name == self.along else "across")

    def is_optional(self, name: str) -> bool:
        """Whether cells may lack a coordinate that it consumes: a field of some nets only."""
        return name in self.across and "." in name

    def must_be_numbers(self, name: str) -> bool:
        """Whether a coordinate that it consumes is the axis of a trend, steps or an area."""
        return name == self.along or self.over.get(name) == "area"

    def reached(self, name: str) -> list[Leaf]:
        """The leaves whose coordinate is not consumed on the way to this node."""
        return [leaf for part in self.parts for leaf in _reached(part, name)]


def _reached(part: Node | Leaf | float, name: str) -> list[Leaf]:
    if isinstance(part, Leaf):
        return [part]
    if not isinstance(part, Node) or name in part.own_axes:
        return []
    return part.reached(name)


def _leaves(part: Node | Leaf | float) -> Iterator[Leaf]:
    if isinstance(part, Leaf):
        yield part
    elif isinstance(part, Node):
        for inner in part.parts:
            yield from _leaves(inner)


def tree(form: Pick | Operation, word: Word, path: Steps) -> Node:
    """The tree of a claim's form; word is its statistic, path where the form is written."""
    if isinstance(form, Operation):
        return _operation(form, path, ())
    if isinstance(form, Compare):
        sides = (Place(form.of, (*path, "of")), Place(form.to, (*path, "to")))
        leaves = tuple(_leaf(form, path, (), (side,)) for side in sides)
        return Node(word, leaves, path, form.over)
    value = Node("value", (_leaf(form, path, (), ()),), path, form.over)
    if isinstance(form, Trend):
        return Node(word, (value,), path, along=form.along)
    return value


def _leaf(
    pick: Pick,
    path: Steps,
    outside: tuple[Place, ...],
    after: tuple[Place, ...],
    may_be_constant: bool = False,
) -> Leaf:
    places = (*outside, Place(pick.at, (*path, "at")), *after)
    return Leaf(pick.measure, places, path, pick.renamed, may_be_constant)


def _operation(
    form: Operation, path: Steps, outside: tuple[Place, ...], may_be_constant: bool = False
) -> Node:
    places = (*outside, *([Place(form.at, (*path, "at"))] if form.at else []))
    listed = len(form.parts) > 1
    parts = tuple(
        _part(
            part,
            (*path, form.word, *([number] if listed else [])),
            places,
            listed or may_be_constant,
        )
        for number, part in enumerate(form.parts)
    )
    return Node(form.word, parts, path, form.over, form.along, form.across or ())


def _part(
    part: Pick | Operation | float, path: Steps, places: tuple[Place, ...], may_be_constant: bool
) -> Node | Leaf | float:
    if isinstance(part, Operation):
        return _operation(part, path, places, may_be_constant)
    if not isinstance(part, Pick):
        return part
    leaf = _leaf(part, path, places, (), may_be_constant)
    return Node("value", (leaf,), path, part.over) if part.over else leaf
