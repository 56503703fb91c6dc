"""Cross-checks of a plan. They yield every problem, so that a user can fix all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import SpecError, refuse
from invspec.plan.cells import Plan
from invspec.plan.validation import (
    claims,
    files,
    footguns,
    generators,
    layouts,
    models,
    names,
    own_methods,
    settings,
    targets,
)
from invspec.plan.validation.files import IsDone
from invspec.registry import own_code


def problems(planned: Plan, is_done: IsDone = lambda train: False) -> Iterator[SpecError]:
    """All problems that can be found before a run, with file and line.

    is_done says whether a training is in the store: its files of weights are not needed again.
    """
    spec = planned.spec
    for checked in (
        own_methods.problems(spec),
        claims.problems(planned),
        layouts.problems(planned),
        files.problems(spec, *spec.entries),
        files.weight_problems(planned, is_done),
        targets.problems(spec),
        models.problems(spec),
    ):
        for problem in own_code.gathered(checked):
            yield spec.source.locate(problem)


def check(planned: Plan, is_done: IsDone = lambda train: False) -> None:
    """Raises: SpecError, or SpecErrors if there is more than one problem."""
    refuse(problems(planned, is_done))


def warnings(planned: Plan) -> list[SpecError]:
    """Settings that can run and are hardly meant, with file and line."""
    spec = planned.spec
    doubts = own_code.gathered(_doubts(planned))
    located = map(spec.source.locate, doubts)
    return list({str(warning): warning for warning in located}.values())


def _doubts(planned: Plan) -> Iterator[SpecError]:
    spec = planned.spec
    yield from settings.warnings(spec)
    yield from generators.warnings(spec)
    yield from footguns.warnings(spec)
    yield from names.warnings(planned)
    yield from own_methods.warnings(spec)
