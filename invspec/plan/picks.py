"""The cells that claims select, and the points at which their numbers exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, get_args

from invspec.registry.cards import PARTS, Kind
from invspec.spec.claims import Statement
from invspec.spec.resolved import Spec
from invspec.spec.schema import Scalar
from invspec.spec.trees import Leaf, Node

CellCoords = Mapping[str, Scalar]
Cells = Sequence[CellCoords]
# The values of the coordinates that a number is reduced over or runs along; None where a net has
# no such field.
Point = tuple[Scalar | None, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Profile(Generic[T]):
    """Numbers, or the cells behind them, at the points of some coordinates."""

    axes: tuple[str, ...]
    heights: Mapping[Point, T]

    def values(self) -> Iterable[T]:
        """The numbers, whatever their points."""
        return self.heights.values()

    def at(self, axes: Sequence[str], point: Point) -> T:
        """The number at a point of these axes, of which the profile has some."""
        return self.heights[narrowed(point, axes, self.axes)]


@dataclass(frozen=True)
class Wanted:
    """The coordinates that the nodes around a part consume.

    Cells that lack one are left out; those in `optional` may be lacking, because not every net has
    them.
    """

    names: tuple[str, ...] = ()
    optional: frozenset[str] = field(default_factory=frozenset[str])

    def inside(self, node: Node) -> Wanted:
        """What the parts of a node need: its own coordinates, and those around that remain."""
        own = node.own_axes
        names = (*own, *(name for name in self.names if name not in own))
        return Wanted(names, self.optional | set(node.across))


def by_measure(cells: Iterable[CellCoords]) -> dict[str, list[CellCoords]]:
    """Cells in the order of the plan, by their measure."""
    measures: dict[str, list[CellCoords]] = {}
    for coords in cells:
        measures.setdefault(str(coords["measure"]), []).append(coords)
    return measures


def statements(spec: Spec, number: int) -> tuple[Statement, ...]:
    """The premises and the alternatives of a claim, with the points of `across` written out."""
    claim = spec.claims[number]
    listed = (*claim.premises(number), *claim.statements(number))
    return tuple(replace(statement, node=_named(statement.node, spec)) for statement in listed)


def _named(node: Node, spec: Spec) -> Node:
    """The node with kinds of labels in `across` written out: model, and all its swept fields."""
    parts = tuple(_named(part, spec) if isinstance(part, Node) else part for part in node.parts)
    across = dict.fromkeys(name for kind in node.across for name in _fields(kind, spec))
    return replace(node, parts=parts, across=tuple(across))


def _fields(name: str, spec: Spec) -> tuple[str, ...]:
    if name not in get_args(Kind):
        return (name,)
    part = next(part for part, kind in PARTS.items() if kind == name)
    swept = (field for entry in spec.entries[part].values() for field in entry.coords)
    return (name, *swept)


def row_names(leaf: Leaf, names: Iterable[str], cells: Cells) -> set[str]:
    """Coordinates around a leaf, in their own names, that only rows of its measure can have.

    The rows of a measure are unknown before it is computed, so any such name may be right.
    """
    known = {name for coords in cells for name in coords}
    own = {*leaf.at, *map(leaf.own, names)}
    return {name for name in own if name.startswith(f"{leaf.measure}.")} - known


def varying_axes(
    leaf: Leaf, wanted: Wanted, there: Cells, unknown: Collection[str] = ()
) -> tuple[str, ...]:
    """The wanted coordinates along which a leaf varies; there are its cells.

    A leaf that may be constant is constant along those that it fixes and those that it lacks.
    """
    names = [name for name in wanted.names if leaf.own(name) not in unknown]
    if not leaf.may_be_constant:
        return tuple(names)
    have = {name for coords in there for name in coords} - set(leaf.at)
    return tuple(name for name in names if leaf.own(name) in have)


def has_all(leaf: Leaf, coords: CellCoords, axes: Iterable[str], wanted: Wanted) -> bool:
    """Whether a cell has the axes that it needs; one that lacks some is not on them."""
    return all(name in wanted.optional or leaf.own(name) in coords for name in axes)


def point(leaf: Leaf, coords: CellCoords, axes: Iterable[str]) -> Point:
    """The point of a cell on some axes."""
    return tuple(coords.get(leaf.own(name)) for name in axes)


def joined(
    profiles: Sequence[Profile[T]], order: Sequence[str]
) -> tuple[tuple[str, ...], list[Point]]:
    """The axes of several profiles, in this order, and the points that all of them have.

    A profile without an axis is constant along it.
    """
    axes: tuple[str, ...] = ()
    points: list[Point] = [()]
    for profile in profiles:
        shared = [name for name in profile.axes if name in axes]
        new = [name for name in profile.axes if name not in axes]
        partners: dict[Point, list[Point]] = {}
        for inner in profile.heights:
            partner = narrowed(inner, profile.axes, new)
            partners.setdefault(narrowed(inner, profile.axes, shared), []).append(partner)
        points = [
            (*outer, *partner)
            for outer in points
            for partner in partners.get(narrowed(outer, axes, shared), ())
        ]
        axes = (*axes, *new)
    ordered = tuple(name for name in order if name in axes)
    return ordered, [narrowed(outer, axes, ordered) for outer in points]


def unmatched(
    profiles: Sequence[Profile[T]], axes: Sequence[str], points: Iterable[Point]
) -> Iterator[tuple[tuple[str, ...], Point]]:
    """Points of one profile, with its axes, that another profile lacks."""
    listed = list(points)
    for profile in profiles:
        present = {narrowed(outer, axes, profile.axes) for outer in listed}
        for inner in profile.heights:
            if inner not in present:
                yield profile.axes, inner


def slices(profile: Profile[T], names: Sequence[str]) -> Iterator[tuple[Point, dict[Point, T]]]:
    """The numbers along some axes, for each point of the others."""
    others = [name for name in profile.axes if name not in names]
    groups: dict[Point, dict[Point, T]] = {}
    for inner, height in profile.heights.items():
        along = narrowed(inner, profile.axes, names)
        groups.setdefault(narrowed(inner, profile.axes, others), {})[along] = height
    return iter(groups.items())


def narrowed(point: Point, axes: Sequence[str], to: Iterable[str]) -> Point:
    """The part of a point on some of its axes."""
    return tuple(point[axes.index(name)] for name in to)
