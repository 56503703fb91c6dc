"""`invspec validate`: everything that can be wrong with a spec, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from invspec.cli import options
from invspec.cli.options import Registry, Scale, Set, Smoke
from invspec.errors import SpecError, refuse

if TYPE_CHECKING:
    from invspec.plan.cells import Plan


def validate(
    specs: Annotated[list[str], typer.Argument(help="specs, by path or by name")],
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Check specs in all their scales: names, parameters, models, data, claims, layouts."""
    problems: dict[str, SpecError] = {}
    for spec in specs:
        scales: list[str | None] = [scale]
        # scales are appended once the spec has been read; they often have its problems too
        for chosen in scales:
            try:
                plan = options.planned(spec, chosen, set, smoke, registry)
                scales += () if chosen else plan.spec.scales
                _check(plan)
                if chosen == scale:
                    print(f"{spec}: {_summary(plan)}")
            except SpecError as problem:
                problems |= {str(part): part for part in problem.problems}
    refuse(problems.values())


def _check(plan: Plan) -> None:
    from invspec.cli import session

    session.check(plan)


def _summary(plan: Plan) -> str:
    """How much there is of what: 4 cells, 7 tasks, 1 claim."""
    counts: dict[str, Iterable[object]] = {
        "cell": plan.cells,
        "task": plan.tasks,
        "claim": plan.spec.claims,
    }
    sizes = {noun: len(tuple(items)) for noun, items in counts.items()}
    return ", ".join(f"{size:,} {noun}{'' if size == 1 else 's'}" for noun, size in sizes.items())
