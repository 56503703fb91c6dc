"""How a layout arranges the cells of its measure in rows and columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from invspec.plan import coordinates
from invspec.plan.cells import Plan
from invspec.spec.resolved import Spec
from invspec.spec.schema import Layout, Scalar


def layouts(planned: Plan) -> tuple[Layout, ...]:
    """The layouts of the spec; one for each measure if it has none."""
    measures = planned.coordinates().get("measure", ())
    return planned.spec.report or tuple(Layout(of=str(measure)) for measure in measures)


def legend_names(legend: str | None) -> list[str]:
    """The coordinates in the braces of a legend's text."""
    return re.findall(r"{([^{}]*)}", legend or "")


def may_be_row_coordinate(layout: Layout, name: str) -> bool:
    """Whether a name may be a coordinate of the measure's rows, unknown until a score exists."""
    return name.startswith(f"{layout.of}.")


def is_in(layout: Layout, coords: Mapping[str, Scalar]) -> bool:
    """Whether a layout shows a cell."""
    at = {
        name: value
        for name, value in layout.at.items()
        if name in coords or not may_be_row_coordinate(layout, name)
    }
    return coordinates.matches(coords, {"measure": layout.of, **at})


def arrange(
    planned: Plan, layout: Layout, cells: Sequence[Mapping[str, Scalar]]
) -> tuple[tuple[str, ...], str]:
    """The coordinates that run down, and the one that runs across, in a table of these cells.

    Coordinates that distinguish the rows of a measure always run down.
    """
    columns = layout.columns or _columns(planned.spec, layout, cells)
    differing = coordinates.varying(cells, but=("seed", "measure", columns))
    rows = tuple(differing) if layout.rows is None else layout.rows
    known = planned.coordinates(layout.of)
    row_coordinates = (name for name in differing if name not in known and name not in rows)
    return (*rows, *row_coordinates), columns


def _columns(spec: Spec, layout: Layout, cells: Sequence[Mapping[str, Scalar]]) -> str:
    """The last swept coordinate of the attack, else of the measure, else the model."""
    measure = spec.entries["measures"][layout.of]
    swept = [name for attack in measure.of for name in spec.entries["attacks"][attack].coords]
    candidates = (*reversed(swept), *reversed(measure.coords), "model")
    differing, taken = coordinates.varying(cells), layout.rows or ()
    return next((name for name in candidates if name in differing and name not in taken), "attack")


def second_measure_layout(planned: Plan, layout: Layout, rows: tuple[str, ...]) -> Layout:
    """The layout of a plane's second measure: the same rows, and the same `at` where it applies."""
    assert layout.against is not None, "only a plane has a second measure"
    known = planned.coordinates(layout.against.of)
    at = {name: value for name, value in layout.at.items() if name in known}
    return Layout(of=layout.against.of, at=at | layout.against.at, rows=rows, columns="attack")
