"""`invspec validate`: find all problems of a spec before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from invspec.cli import completion, options
from invspec.cli.options import AS_WRITTEN, Data, Selection, Strict
from invspec.errors import SpecError, counted, refuse

if TYPE_CHECKING:
    from invspec.plan.cells import Plan


@options.selecting
def validate(
    specs: Annotated[
        list[str], typer.Argument(help="specs, by path or by name", autocompletion=completion.specs)
    ],
    data: Data = None,
    selection: Selection = AS_WRITTEN,
    strict: Strict = False,
) -> None:
    """Check specs in all their scales: names, parameters, models, data, claims, layouts."""
    options.set_data(data)

    def plans(spec: str) -> Iterator[Plan | SpecError]:
        """The plans of a spec and of its scales, or the errors that prevent planning."""
        scales: list[str | None] = [selection.scale]
        for chosen in scales:
            try:
                plan = options.planned(spec, replace(selection, scale=chosen))
            except SpecError as problem:
                yield problem
            else:
                scales += () if chosen else plan.spec.scales
                yield plan

    problems: list[SpecError] = []
    for spec in specs:
        checked = list(plans(spec))
        doubts = [doubt for plan in checked for doubt in _doubts(plan)]
        wrong = [problem for plan in checked for problem in _problems(plan)]
        wrong += doubts if strict else []
        if not strict and not wrong:
            # a spec that is refused is warned of once it is not
            options.warn(doubts)
        if not wrong and not isinstance(checked[0], SpecError):
            print(f"{spec}: {_summary(checked[0])}")
        problems += wrong
    refuse(problems)


def _problems(plan: Plan | SpecError) -> Iterable[SpecError]:
    from invspec.plan import validation

    return plan.problems if isinstance(plan, SpecError) else validation.problems(plan)


def _doubts(plan: Plan | SpecError) -> Iterable[SpecError]:
    from invspec.plan import validation

    return () if isinstance(plan, SpecError) else validation.warnings(plan)


def _summary(plan: Plan) -> str:
    """The size of a plan as text: 4 cells, 7 tasks, 1 claim."""
    counts: dict[str, Iterable[object]] = {
        "cell": plan.cells,
        "task": plan.tasks,
        "claim": plan.spec.claims,
    }
    return ", ".join(counted(len(tuple(items)), noun) for noun, items in counts.items())
