"""Random readings of the cells behind a claim, and what a claim says of them.

A world is one number for each cell, in the range that its measure declares. Numbers are not all
independent, since a bound on the least of twenty cells would then hardly ever be met: in most
worlds they are alike, or follow a coordinate. If chance does not show both sides of a claim, the
worlds nearest to the missing side are changed at random and tried again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from invspec.analysis import quantities, readings
from invspec.analysis.estimates import Estimate
from invspec.analysis.readings import Group, Reading
from invspec.analysis.scopes import across_nets, net_kind, nets_of
from invspec.data import Interval, Row
from invspec.ops.types import Range
from invspec.plan import picks
from invspec.plan.cells import Plan
from invspec.plan.picks import Wanted
from invspec.spec.claims import Statement
from invspec.spec.labels import Coords
from invspec.spec.trees import Leaf, Node

Floats = NDArray[np.float64]
Goal = Literal["holds", "fails", "a premise fails"]

WORLDS, ROUNDS = 200, 60
# values of coordinates that only rows have, where a claim runs along them
FREE_ROWS = (1.0, 2.0, 3.0)
# a number without bounds has any size between these powers of ten
SIZES = (-14.0, 5.0)
ROW = Row(interval=Interval(0.0, 0.0, 0.0, 1))


def unseen(plan: Plan, number: int) -> list[Goal]:
    """What never happens to a claim: that it holds, that it fails, that some premise of it fails.

    number is its place in the spec.
    """
    statements = picks.statements(plan.spec, number)
    worlds = _Worlds.of(plan, statements)
    premises = range(len(plan.spec.claims[number].given))
    goals: list[tuple[Goal, int]] = [("holds", 0), ("fails", 0)]
    goals.extend(("a premise fails", place) for place in premises)
    rng = np.random.default_rng(number)
    return [goal for goal, of in goals if not _is_seen(worlds, len(premises), goal, of, rng)]


def single_trainings(plan: Plan, number: int) -> list[str]:
    """The statements of a claim on the order of nets that each have one seed: never decided."""
    if len(plan.spec.seeds) > 1:
        return []
    worlds = _Worlds.of(plan, picks.statements(plan.spec, number))
    return [
        each.claim.says
        for each, sides in zip(worlds.statements, worlds.sides, strict=True)
        if "trained" in map(net_kind, nets_of(across_nets(each.node, sides)))
    ]


def _is_seen(worlds: _Worlds, premises: int, goal: Goal, of: int, rng: np.random.Generator) -> bool:
    positions = worlds.draws(rng)
    for _ in range(ROUNDS):
        left = worlds.distance(positions, premises, goal, of)
        if (left == 0).any():
            return True
        best = positions[:, np.argsort(left)[: WORLDS // 20]]
        positions = worlds.neighbours(best, rng)
    return False


@dataclass(frozen=True)
class _Worlds:
    """The statements of a claim, with the groups of readings behind each.

    Groups with equal tasks and rows, such as those of two equal defences, have one number.
    """

    statements: Sequence[Statement]
    sides: Sequence[Sequence[quantities.Side]]
    groups: Sequence[Group]

    @classmethod
    def of(cls, plan: Plan, statements: Sequence[Statement]) -> _Worlds:
        """The worlds of a claim, given by its premises and alternatives."""
        groups = list(_groups(plan, statements))
        sides = [quantities.sides_of(plan, each.node, groups) for each in statements]
        assert all(sides), "a number without cells"
        read = {group for part in sides for side in part for group in side.values()}
        return cls(statements, sides, [group for group in groups if group in read])

    def draws(self, rng: np.random.Generator) -> Floats:
        """Positions (groups, worlds) in [0, 1]; some are exactly at an end."""
        count = len(self.groups)
        level = rng.uniform(-0.1, 1.1, WORLDS)
        spread = rng.random((count, WORLDS)) - 0.5
        noise = 10 ** rng.uniform(-4, 0.5, WORLDS)
        positions = level + noise * spread + self._slopes(rng)
        return np.clip(positions, 0, 1)

    def _slopes(self, rng: np.random.Generator) -> Floats:
        """For each world an effect of the values of one coordinate, with or against their order."""
        names = sorted({name for group in self.groups for name in group.coords})
        slopes = np.zeros((len(self.groups), WORLDS))
        for world in range(WORLDS):
            name = names[rng.integers(len(names))]
            places = _places([group.coords.get(name) for group in self.groups])
            size = rng.choice([-1, 1]) * 10 ** rng.uniform(-4, 0.5)
            slopes[:, world] = size * (places - places.mean())
        return slopes

    def neighbours(self, best: Floats, rng: np.random.Generator) -> Floats:
        """Worlds that differ from the best ones in some cells."""
        chosen = best[:, rng.integers(best.shape[1], size=WORLDS)]
        changed = rng.random(chosen.shape) < rng.choice([0.05, 0.3, 1.0], WORLDS)
        step = rng.normal(size=chosen.shape) * 10 ** rng.uniform(-4, 0, WORLDS)
        moved = np.clip(chosen + changed * step, 0, 1)
        moved[:, : best.shape[1]] = best
        return moved

    def distance(self, positions: Floats, premises: int, goal: Goal, of: int) -> Floats:
        """How far each world is from an outcome; 0 where it has it."""
        values = self._values(positions)
        inside, outside = zip(
            *(
                (_distance_into(value, each), _distance_out(value, each))
                for value, each in zip(values, self.statements, strict=True)
            ),
            strict=True,
        )
        if goal == "a premise fails":
            return outside[of]
        given = np.sum(inside[:premises], axis=0) if premises else np.zeros(positions.shape[1])
        own, others = inside[premises:], outside[premises:]
        if goal == "fails":
            return given + np.sum(others, axis=0)
        # of several alternatives exactly one must hold
        total = np.sum(others, axis=0)
        ways = [into + total - out for into, out in zip(own, others, strict=True)]
        return given + np.min(ways, axis=0)

    def _values(self, positions: Floats) -> list[Floats]:
        """The number of each statement in each world."""
        first = {_identity(group): place for place, group in reversed([*enumerate(self.groups)])}
        positions = positions[[first[_identity(group)] for group in self.groups]]
        numbers = {
            group: Estimate(float(heights[0]), heights)
            for group, heights in zip(
                self.groups, map(_placed, self.groups, positions), strict=True
            )
        }
        known: Any = _Known(numbers)
        return [
            np.asarray(quantities.statistic(each.node, sides, known).replicates, dtype=float)
            for each, sides in zip(self.statements, self.sides, strict=True)
        ]


@dataclass(frozen=True)
class _Known:
    """Stands for an estimator."""

    numbers: Mapping[Group, Estimate]

    def estimate(self, group: Group) -> Estimate:
        return self.numbers[group]


def _identity(group: Group) -> Hashable:
    own = f"{group.coords['measure']}."
    row = {name: value for name, value in group.coords.items() if name.startswith(own)}
    return tuple(reading.cell.goal for reading in group.readings), tuple(sorted(row.items()))


def _places(values: Sequence[Any]) -> Floats:
    """The place of each value among the distinct ones, from 0 to 1."""
    distinct = list(dict.fromkeys(values))
    if all(isinstance(value, int | float) for value in distinct):
        distinct.sort()
    size = max(len(distinct) - 1, 1)
    return np.array([distinct.index(value) / size for value in values])


# ─ numbers ────────────────────────────────────────────────────────────────────────────────────────


def _placed(group: Group, positions: Floats) -> Floats:
    """Positions in [0, 1] as numbers in the range of a group's measure."""
    goal = group.readings[0].cell.goal
    quantity = str(group.coords.get(f"{group.coords['measure']}.quantity", ""))
    return _in_range(positions, goal.measure.range_of(quantity))


def _in_range(positions: Floats, range_: Range) -> Floats:
    low, high = range_
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * positions
    if math.isfinite(low):
        return low + _sizes(positions)
    if math.isfinite(high):
        return high - _sizes(1 - positions)
    return np.sign(positions - 0.5) * _sizes(np.abs(2 * positions - 1))


def _sizes(positions: Floats) -> Floats:
    """0, or a number of any size."""
    return np.where(positions == 0, 0, 10 ** (SIZES[0] + (SIZES[1] - SIZES[0]) * positions))


def _distance_into(values: Floats, statement: Statement) -> Floats:
    """At an end of its range a claim neither holds nor fails."""
    low, high = statement.claim.bound.range
    left = np.maximum(low - values, values - high)
    return _known(np.where((low < values) & (values < high), 0, left + 1e-9), values)


def _distance_out(values: Floats, statement: Statement) -> Floats:
    low, high = statement.claim.bound.range
    below = values - low if math.isfinite(low) else np.full_like(values, np.inf)
    above = high - values if math.isfinite(high) else np.full_like(values, np.inf)
    left = np.minimum(below, above)
    return _known(np.where(left < 0, 0, left + 1e-9), values)


def _known(distances: Floats, values: Floats) -> Floats:
    """Distances of numbers; 0 / 0 is far from everything."""
    return np.where(np.isnan(values), 1e9, np.minimum(distances, 1e9))


# ─ cells ──────────────────────────────────────────────────────────────────────────────────────────


def _groups(plan: Plan, statements: Iterable[Statement]) -> Iterator[Group]:
    """A group for each cell of the measures of some statements and each row that they name."""
    cells = picks.by_measure(cell.coords for cell in plan.cells)
    rows: dict[str, list[Coords]] = {}
    for statement in statements:
        for leaf, wanted in _leaves(statement.node, Wanted()):
            own = picks.row_names(leaf, map(leaf.own, wanted.names), cells[leaf.measure])
            choices = {name: [leaf.at[name]] if name in leaf.at else FREE_ROWS for name in own}
            known = rows.setdefault(leaf.measure, [])
            for values in itertools.product(*choices.values()):
                row = dict(zip(choices, values, strict=True))
                known += [row] if row not in known else []
    computed = (
        Reading(cell, {**cell.coords, **row}, ROW)
        for cell in plan.cells
        for row in rows.get(str(cell.coords["measure"]), ())
    )
    yield from readings.groups(computed)


def _leaves(node: Node, outer: Wanted) -> Iterator[tuple[Leaf, Wanted]]:
    wanted = outer.inside(node)
    for part in node.parts:
        if isinstance(part, Node):
            yield from _leaves(part, wanted)
        elif isinstance(part, Leaf):
            yield part, wanted
