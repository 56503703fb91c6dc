"""`invspec validate`: everything that can be wrong with a spec, before anything runs."""

from __future__ import annotations

from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.options import Registry, Scale, Set, Smoke


def validate(
    specs: Annotated[list[str], typer.Argument(help="specs, by path or by name")],
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Check specs in all their scales: names, parameters, models, data, claims, layouts."""
    from invspec.cli import session

    for spec in specs:
        plan = options.planned(spec, scale, set, smoke, registry)
        session.check(plan)
        for other in () if scale else plan.spec.scales:
            session.check(options.planned(spec, other, set, smoke, registry))
        counts = {"cell": plan.cells, "task": plan.tasks, "claim": plan.spec.claims}
        words = [
            f"{len(items):,} {noun}{'' if len(items) == 1 else 's'}"
            for noun, items in counts.items()
        ]
        print(f"{spec}: {', '.join(words)}")
