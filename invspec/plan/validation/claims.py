"""Claims must pick cells, exactly one at each point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from invspec.errors import SpecError
from invspec.plan import coordinates, picks
from invspec.plan.cells import Plan
from invspec.plan.validation.places import measure_problems, name_problems, place_problems
from invspec.spec.document import Steps
from invspec.spec.schema import Pick, Scalar, Trend

Cells = Sequence[Mapping[str, Scalar]]


def problems(planned: Plan) -> Iterator[SpecError]:
    """The problems with a plan's claims that can be found before a run."""
    for number, claim in enumerate(planned.spec.claims):
        path, pick = ("claims", number, claim.form), claim.pick
        if unknown := list(measure_problems(planned, pick.measure, (*path, "measure"))):
            yield from unknown
            continue
        cells = [cell.coords for cell in planned.cells if cell.coords["measure"] == pick.measure]
        yield from pick_problems(pick, cells, path, picks.row_names(pick, cells))


def pick_problems(pick: Pick, cells: Cells, path: Steps, unknown: set[str]) -> list[SpecError]:
    """What is wrong with a pick among the cells of its measure.

    unknown holds the names that cannot be checked yet: `picks.row_names` before a run, none after.
    """
    at = coordinates.without(pick.at, unknown)
    if wrong := list(place_problems(cells, at, (*path, "at"))):
        return wrong
    by_side = [_side_problems(pick, key, cells, path, unknown) for key in picks.sides(pick)]
    if wrong := [problem for side in by_side for problem in side]:
        return wrong
    return list(_pairing_problems(pick, cells, path, unknown))


def _side_problems(
    pick: Pick, key: str, cells: Cells, path: Steps, unknown: set[str]
) -> list[SpecError]:
    """What is wrong with one side of a pick, regardless of the other."""
    side = picks.sides(pick)[key]
    if twice := sorted(set(pick.at) & set(side)):
        return [
            SpecError(f"given in both `at` and `{key}`", hint="give one", path=(*path, key, name))
            for name in twice
        ]
    at = coordinates.without(pick.at, unknown)
    near = [coords for coords in cells if coordinates.matches(coords, at)]
    if wrong := list(place_problems(near, coordinates.without(side, unknown), (*path, key))):
        return wrong
    there = picks.at_side(pick, key, cells, unknown)
    wrong = [
        problem
        for name in picks.axes(pick)
        if name not in unknown
        for problem in _axis_problems(pick, name, there, path)
    ]
    return wrong or list(_ambiguities(pick, there, path, unknown))


def _axis_problems(pick: Pick, name: str, cells: Cells, path: Steps) -> Iterator[SpecError]:
    """What is wrong with a coordinate that a pick is reduced over or runs along."""
    where = (*path, "over", name) if name in pick.over else (*path, "along")
    if name == "seed":
        message = "cannot run along `seed`: seeds are always averaged"
        yield SpecError(message, hint="name a swept field or a label", path=where)
        return
    if name == "measure":
        message = "cannot run along `measure`: a claim is about one measure"
        yield SpecError(message, hint="name a swept field or a label", path=where)
        return
    known = dict.fromkeys(name for coords in cells for name in coords)
    if unknown := list(name_problems(name, known, where)):
        yield from unknown
    elif _must_be_numeric(pick, name):
        yield from _number_problems(name, cells, where)


def _must_be_numeric(pick: Pick, name: str) -> bool:
    """Whether a coordinate is the axis of a trend or of an area."""
    return (isinstance(pick, Trend) and name == pick.along) or pick.over.get(name) == "area"


def _number_problems(name: str, cells: Cells, path: Steps) -> Iterator[SpecError]:
    values = dict.fromkeys(coords[name] for coords in cells if name in coords)
    listed = ", ".join(map(coordinates.shown, values))
    if any(coordinates.number(value) is None for value in values):
        yield SpecError(f"expected numbers for {name}, found {listed}", path=path)
    elif len(values) < 2:
        message = f"expected several values of {name}, found one: {listed}"
        yield SpecError(message, hint="sweep it", path=path)


def _ambiguities(pick: Pick, cells: Cells, path: Steps, unknown: set[str]) -> Iterator[SpecError]:
    """Several cells at one point of a pick."""
    axes = picks.axes(pick)
    on_axes = [coords for coords in cells if picks.has(coords, set(axes) - unknown)]
    if differing := coordinates.varying(on_axes, but=("seed", *axes)):
        message = f"ambiguous: several cells match, with {coordinates.listing(differing)}"
        yield SpecError(message, hint="fix it with at, or reduce it with over", path=path)


def _pairing_problems(
    pick: Pick, cells: Cells, path: Steps, unknown: set[str]
) -> Iterator[SpecError]:
    """Points at which only one of two sides has a cell."""
    axes = [name for name in picks.axes(pick) if name not in unknown]
    points = [
        {
            tuple(coords[name] for name in axes)
            for coords in picks.at_side(pick, key, cells, unknown)
            if picks.has(coords, axes)
        }
        for key in picks.sides(pick)
    ]
    if len(points) == 2 and (unmatched := points[0] ^ points[1]):
        point = ", ".join(
            f"{name} {coordinates.shown(value)}"
            for name, value in zip(axes, sorted(unmatched, key=str)[0], strict=True)
        )
        message = f"`of` and `to` are paired, but only one of them has a cell at {point}"
        yield SpecError(
            message, hint="choose sides with the same values, or narrow `at`", path=path
        )
