"""Claims must pick cells, exactly one at each point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from invspec.errors import SpecError
from invspec.plan import coordinates, picks
from invspec.plan.cells import Plan
from invspec.plan.picks import Cells, Point, Profile, Wanted
from invspec.plan.validation import ranges
from invspec.plan.validation.places import measure_problems, name_problems, place_problems
from invspec.spec.claims import Statement
from invspec.spec.document import Steps
from invspec.spec.schema import Scalar
from invspec.spec.trees import Leaf, Node
from invspec.tasks import Score

# operations on two numbers, and what they give if both are the same
CONSTANTS = {"difference": 0, "ratio": 1, "correlation": 1}
NOT_AXES = {"seed": "seeds are always averaged", "measure": "each pick is of one measure"}


def problems(planned: Plan) -> Iterator[SpecError]:
    """The problems with a plan's claims that can be found before a run."""
    cells = picks.by_measure(cell.coords for cell in planned.cells)
    # by identity: coordinates are not hashable
    goals = {id(cell.coords): cell.goal for cell in planned.cells}
    for number in range(len(planned.spec.claims)):
        yield from _distinct(
            problem
            for statement in picks.statements(planned.spec, number)
            for problem in _planned_problems(planned, statement, cells, goals)
        )


def _planned_problems(
    planned: Plan, statement: Statement, cells: Mapping[str, Cells], goals: Mapping[int, Score]
) -> Iterable[SpecError]:
    node = statement.node
    unknown = [
        problem
        for leaf in node.leaves
        for problem in measure_problems(planned, leaf.measure, (*leaf.path, "measure"))
    ]
    if wrong := _distinct(unknown) or node_problems(node, cells, is_computed=False):
        return wrong
    outside = ranges.problem(planned.spec, statement)
    # a smoke run gives values of a sweep the same tasks
    check = None if planned.spec.is_smoke else Check(cells, is_computed=False)
    constant = () if check is None else _constants(goals, node, check)
    return [*constant, *([] if outside is None else [outside])]


def _constants(goals: Mapping[int, Score], node: Node, check: Check) -> Iterator[SpecError]:
    """Operations on two sides that the same tasks compute, under whatever labels."""
    for part in node.parts:
        if isinstance(part, Node):
            yield from _constants(goals, part, check)
    leaves = [part for part in node.parts if isinstance(part, Leaf)]
    if node.word not in CONSTANTS or len(leaves) != 2:
        return
    one, other = (_computed(goals, leaf, check) for leaf in leaves)
    if one == other:
        labels = " and ".join(dict.fromkeys(leaf.measure for leaf in leaves))
        message = f"the {node.word} is {CONSTANTS[node.word]} whatever is measured"
        hint = f"the same tasks compute both sides ({labels}): name two attacks, nets or measures"
        yield SpecError(message, hint=hint, path=node.path)


def _computed(
    goals: Mapping[int, Score], leaf: Leaf, check: Check
) -> tuple[list[Score], dict[str, Scalar], list[str]]:
    """The scores behind a leaf, which of their rows it takes, and what it calls its coordinates."""
    rows = check.unknown(leaf, leaf.at)
    taken = {name: value for name, value in leaf.at.items() if name in rows}
    scores = [goals[id(coords)] for coords in check.there(leaf)]
    return scores, taken, sorted(leaf.renamed.values())


def node_problems(
    node: Node, cells: Mapping[str, Cells], *, is_computed: bool = True
) -> list[SpecError]:
    """What is wrong with a claim's number among the cells of each measure.

    Before measures are computed, names that only their rows can have are not checked.
    """
    check = Check(cells, is_computed)
    return _distinct(
        [problem for leaf in node.leaves for problem in check.place_problems(leaf)]
        or list(check.axis_problems(node))
        or check.points(node, Wanted()).problems
    )


def _distinct(found: Iterable[SpecError]) -> list[SpecError]:
    """Problems without those that several leaves or alternatives share."""
    return list({(problem.path, str(problem)): problem for problem in found}.values())


@dataclass(frozen=True)
class Points:
    """The points at which a part has a number, and what is wrong with it."""

    profile: Profile[None]
    problems: Sequence[SpecError] = ()


@dataclass(frozen=True)
class Check:
    """Checks of a claim's number among the cells of each measure."""

    cells: Mapping[str, Cells]
    is_computed: bool
    known: dict[int, Cells] = field(default_factory=dict[int, Cells])

    # ─ places ─────────────────────────────────────────────────────────────────────────────────────

    def place_problems(self, leaf: Leaf) -> Iterator[SpecError]:
        """Coordinates of a leaf that no cell has, or that are given twice."""
        unknown, there = self.unknown(leaf, leaf.at), self._of_measure(leaf)
        before: dict[str, Steps] = {}
        for place in leaf.places:
            twice = [name for name in place.coords if name in before]
            for name in twice:
                message = f"given in both `{before[name][-1]}` and `{place.path[-1]}`"
                yield SpecError(message, hint="give one", path=(*place.path, name))
            at = coordinates.without(place.coords, unknown)
            wrong = [] if twice else list(place_problems(there, at, place.path))
            yield from wrong
            if twice or wrong:
                return
            there = [coords for coords in there if coordinates.matches(coords, at)]
            before |= dict.fromkeys(place.coords, place.path)

    def _of_measure(self, leaf: Leaf) -> Cells:
        return self.cells.get(leaf.measure, ())

    def unknown(self, leaf: Leaf, names: Iterable[str]) -> set[str]:
        """Those of a leaf's own names that only rows of its measure can have, if still unknown."""
        if self.is_computed:
            return set()
        return picks.row_names(leaf, names, self._of_measure(leaf))

    def there(self, leaf: Leaf) -> Cells:
        """The cells of a leaf."""
        if id(leaf) not in self.known:
            at = coordinates.without(leaf.at, self.unknown(leaf, leaf.at))
            cells = self._of_measure(leaf)
            self.known[id(leaf)] = [item for item in cells if coordinates.matches(item, at)]
        return self.known[id(leaf)]

    # ─ axes ───────────────────────────────────────────────────────────────────────────────────────

    def axis_problems(self, node: Node) -> Iterator[SpecError]:
        """Coordinates of a node and those inside it that no part has, or that are no numbers."""
        for name in node.own_axes:
            if name in NOT_AXES:
                message = f"cannot run along `{name}`: {NOT_AXES[name]}"
                hint = "name a swept field or a label"
                yield SpecError(message, hint=hint, path=node.where(name))
            else:
                yield from self._axis_problems(node, name)
        for part in node.parts:
            if isinstance(part, Node):
                yield from self.axis_problems(part)

    def _axis_problems(self, node: Node, name: str) -> Iterator[SpecError]:
        leaves, where = node.reached(name), node.where(name)
        if any(self.unknown(leaf, [leaf.own(name)]) for leaf in leaves):
            return
        for leaf in leaves:
            if not leaf.may_be_constant:
                known = dict.fromkeys(own for coords in self.there(leaf) for own in coords)
                if wrong := list(name_problems(leaf.own(name), known, where)):
                    yield from wrong
                    return
        varying = [leaf for leaf in leaves if self._varies(leaf, name)]
        if not varying and not node.is_optional(name):
            yield from self._no_axis(node, name)
        elif node.must_be_numbers(name):
            values = (coords.get(leaf.own(name)) for leaf in varying for coords in self.there(leaf))
            yield from _not_numbers(name, values, where)

    def _varies(self, leaf: Leaf, name: str) -> bool:
        return bool(picks.varying_axes(leaf, Wanted((name,)), self.there(leaf)))

    def _no_axis(self, node: Node, name: str) -> Iterator[SpecError]:
        """A coordinate that is constant in all parts: misspelt, or fixed everywhere."""
        known = {
            leaf.renamed.get(own, own)
            for leaf in node.leaves
            for coords in self._of_measure(leaf)
            for own in coords
        }
        yield from name_problems(name, sorted(known), node.where(name))
        if name in known and name not in node.across:
            message, hint = f"every part fixes or reduces {name}", "leave it free in one of them"
            yield SpecError(message, hint=hint, path=node.where(name))

    # ─ points ─────────────────────────────────────────────────────────────────────────────────────

    def points(self, node: Node, outer: Wanted) -> Points:
        """The points of a node whose result must vary along the outer coordinates."""
        wanted = outer.inside(node)
        parts = [self._part(part, wanted) for part in node.parts]
        profiles = [part.profile for part in parts]
        axes, points = picks.joined(profiles, wanted.names)
        wrong = [problem for part in parts for problem in part.problems] or [
            *_unpaired(node, profiles, axes, points),
            *_too_few(node, axes, points),
        ]
        remaining = tuple(name for name in axes if name not in node.own_axes)
        heights = dict.fromkeys(picks.narrowed(point, axes, remaining) for point in points)
        return Points(Profile(remaining, heights), wrong)

    def _part(self, part: Node | Leaf | float, wanted: Wanted) -> Points:
        if isinstance(part, Node):
            return self.points(part, wanted)
        if isinstance(part, Leaf):
            return self._leaf(part, wanted)
        return Points(Profile((), {(): None}))

    def _leaf(self, leaf: Leaf, wanted: Wanted) -> Points:
        names = [leaf.own(name) for name in wanted.names]
        unknown, there = self.unknown(leaf, names), self.there(leaf)
        axes = picks.varying_axes(leaf, wanted, there, unknown)
        on_axes = [coords for coords in there if picks.has_all(leaf, coords, axes, wanted)]
        points = dict.fromkeys(picks.point(leaf, coords, axes) for coords in on_axes)
        varying = coordinates.varying(on_axes, but=("seed", *names))
        return Points(Profile(axes, points), list(_ambiguities(leaf, varying)))


def _ambiguities(leaf: Leaf, varying: Mapping[str, Sequence[Scalar | None]]) -> Iterator[SpecError]:
    """Several cells at one point of a leaf."""
    if varying:
        message = f"ambiguous: several cells match, with {coordinates.listing(varying)}"
        name, (value, *_) = next(iter(varying.items()))
        example = f"at: {{{name}: {coordinates.shown(value) or 'none'}}}"
        hint = f"choose one, as with {example}, or reduce them, as with over: {{{name}: least}}"
        yield SpecError(message, hint=hint, path=leaf.path)


def _not_numbers(name: str, values: Iterable[Scalar | None], path: Steps) -> Iterator[SpecError]:
    present = dict.fromkeys(value for value in values if value is not None)
    listed = ", ".join(map(coordinates.shown, present))
    if any(coordinates.number(value) is None for value in present):
        yield SpecError(f"expected numbers for {name}, found {listed}", path=path)
    elif len(present) < 2:
        message = f"expected several values of {name}, found one: {listed}"
        yield SpecError(message, hint="sweep it", path=path)


def _unpaired(
    node: Node, profiles: Sequence[Profile[None]], axes: Sequence[str], points: Sequence[Point]
) -> Iterator[SpecError]:
    """Points at which only some of the parts have a cell."""
    for name in node.across:
        if name in axes and not all(name in profile.axes for profile in profiles):
            message = f"the parts must have the same points, but only some vary along {name}"
            yield SpecError(message, hint="leave it free in all", path=node.where(name))
            return
    for has, point in sorted(picks.unmatched(profiles, axes, points), key=str)[:1]:
        where = ", ".join(
            f"{name} {coordinates.shown(value) or 'none'}"
            for name, value in zip(has, point, strict=True)
        )
        sides = "`of` and `to`" if node.is_compare else "the parts"
        message = f"{sides} are paired, but only one of them has a cell at {where}"
        hint = "choose sides with the same values, or narrow `at`"
        yield SpecError(message, hint=hint, path=node.path)


def _too_few(node: Node, axes: Sequence[str], points: Sequence[Point]) -> Iterator[SpecError]:
    """A correlation of two numbers, or a dominance, of a single point."""
    across = [name for name in node.across if name in axes]
    if node.across and len({picks.narrowed(point, axes, across) for point in points}) < 2:
        message = f"expected several points across {', '.join(node.across)}, found one"
        yield SpecError(message, hint="leave them free", path=(*node.path, "across"))
