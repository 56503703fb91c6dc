"""`names` that are probably mistakes: of nothing, or the same for several rows or columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from invspec.errors import SpecError
from invspec.plan import coordinates, layouts
from invspec.plan.cells import Plan
from invspec.registry.cards import PARTS
from invspec.spec.document import Steps
from invspec.spec.resolved import Spec
from invspec.spec.schema import Layout, Scalar


def warnings(planned: Plan) -> Iterator[SpecError]:
    """Doubtful `names` of a spec and of its layouts; none in a smoke run."""
    if planned.spec.is_smoke:
        return
    yield from _misnamed(planned.spec)
    for number, layout in enumerate(planned.spec.report):
        if planned.spec.names or layout.names:
            path = ("report", number, "names") if layout.names else ("names",)
            for message in _alike(planned, layout):
                hint = "give each a name of its own"
                yield SpecError(f"in table {number + 1}, {message}", hint=hint, path=path)


def _misnamed(spec: Spec) -> Iterator[SpecError]:
    """Entries of `names` that are nearly, but not, the name of something.

    Others may be names of values that only a run makes, such as those of a measure's rows.
    """
    labels = {label for entries in spec.entries.values() for label in entries}
    variants = [v for part in spec.entries.values() for e in part.values() for v in e.variants]
    values = {str(value) for variant in variants for value in variant.coords.values()}
    swept = {name for variant in variants for name in variant.coords}
    known = {*labels, *values, *swept, *PARTS.values(), "seed"}
    layouts = enumerate(spec.report)
    places: list[tuple[Steps, Mapping[str, str]]] = [(("names",), spec.names)]
    places += [(("report", place, "names"), layout.names) for place, layout in layouts]
    for path, names in places:
        for name in {*names} - known:
            if near := difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8):
                message, hint = f"nothing is called {name}", f"did you mean {near[0]}?"
                yield SpecError(message, hint=hint, path=(*path, name))


def _alike(planned: Plan, layout: Layout) -> Iterator[str]:
    """The measures, rows and columns of a layout that have the same names."""
    names = {**planned.spec.names, **layout.names}

    def shown(*values: Scalar | None) -> str:
        texts = map(coordinates.shown, values)
        return ", ".join(names.get(text, text) for text in texts)

    yield from _shared("measures", {(measure,): shown(measure) for measure in layout.of})
    cells = [cell.coords for cell in planned.cells]
    for part in layouts.parts(planned, layout, cells):
        inside = [coords for coords in cells if layouts.is_in(part, coords)]
        rows, columns = layouts.arrange(planned, part, inside)
        for what, along in (("rows", rows), ("columns", () if columns is None else (columns,))):
            labels = (tuple(coords.get(name) for name in along) for coords in inside)
            yield from _shared(what, {values: shown(*values) for values in labels})


def _shared(what: str, names: Mapping[tuple[Scalar | None, ...], str]) -> Iterator[str]:
    """A sentence for each name that several have."""
    by_name: dict[str, list[str]] = {}
    for values, name in names.items():
        by_name.setdefault(name, []).append(", ".join(map(coordinates.shown, values)))
    for name, sharing in by_name.items():
        if len(sharing) > 1:
            yield f"several {what} are called {name}: {'; '.join(sharing)}"
