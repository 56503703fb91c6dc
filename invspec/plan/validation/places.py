"""Measures and coordinates that claims and layouts name must exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from invspec.errors import SpecError, suggest
from invspec.plan.cells import Plan
from invspec.plan.coordinates import matches, same, shown
from invspec.spec.document import Steps
from invspec.spec.schema import Scalar


def measure_problems(planned: Plan, measure: str, path: Steps) -> Iterator[SpecError]:
    """A measure that no cell has."""
    known = planned.coordinates()["measure"]
    if measure not in known:
        hint = suggest(measure, map(str, known))
        yield SpecError(f"no measure {measure!r} in any cell of this spec", hint=hint, path=path)


def name_problems(name: str, known: Iterable[str], path: Steps) -> Iterator[SpecError]:
    """A coordinate that is not among the known ones."""
    if name == "seed":
        yield _seed_problem(path)
    elif name not in (names := list(known)):
        hint = suggest(name, names, "coordinates") or "this table has no row coordinates"
        yield SpecError(f"no coordinate {name!r}", hint=hint, path=path)


def place_problems(
    cells: Sequence[Mapping[str, Scalar]], at: Mapping[str, Scalar], path: Steps
) -> Iterator[SpecError]:
    """Coordinates or values that no cell has, and places at which there is no cell."""
    names = dict.fromkeys(name for coords in cells for name in coords if name != "seed")
    each_exists = True
    for name, value in at.items():
        if name == "seed":
            each_exists = False
            yield _seed_problem((*path, name))
            continue
        values = list(dict.fromkeys(coords[name] for coords in cells if name in coords))
        if not values:
            each_exists = False
            yield from name_problems(name, names, (*path, name))
        elif not any(same(known, value) for known in values):
            each_exists = False
            hint = f"{name} is {', '.join(map(shown, values))}"
            yield SpecError(f"no cell at {name} {shown(value)}", hint=hint, path=(*path, name))
    if each_exists and not any(matches(coords, at) for coords in cells):
        hint = "each coordinate exists, but no cell combines them"
        yield SpecError("no cell has all of these coordinates", hint=hint, path=path)


def _seed_problem(path: Steps) -> SpecError:
    hint = "seeds are always averaged; `invspec report --rows cells` writes each by itself"
    return SpecError("a table or claim has no coordinate 'seed'", hint=hint, path=path)
