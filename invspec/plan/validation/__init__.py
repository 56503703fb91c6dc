"""Cross-checks of a plan. They yield every problem, so that a user can fix all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import SpecError, refuse
from invspec.plan.cells import Plan
from invspec.plan.validation import claims, files, layouts, models, targets


def problems(planned: Plan) -> Iterator[SpecError]:
    """All problems that can be found before a run, with file and line."""
    spec = planned.spec
    for checked in (
        claims.problems(planned),
        layouts.problems(planned),
        files.problems(spec, *spec.entries),
        targets.problems(spec),
        models.problems(spec),
    ):
        for problem in checked:
            yield spec.source.locate(problem)


def check(planned: Plan) -> None:
    """Raises: SpecError, or SpecErrors if there is more than one problem."""
    refuse(problems(planned))
