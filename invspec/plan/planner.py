"""From a spec to its plan."""

from __future__ import annotations

from invspec.errors import SpecError, refuse
from invspec.plan.cells import Plan
from invspec.plan.examinations import examinations
from invspec.plan.precisions import Answer, Precisions, float32
from invspec.plan.products import cells_of
from invspec.plan.validation import attacks, feature_nets, files, generators, labels, sizes
from invspec.spec.resolved import Spec


def plan(spec: Spec, answer: Answer = float32) -> Plan:
    """Expand a spec into cells.

    answer: the precision of a model wherever the spec says auto. A smoke run takes float32.

    Raises: SpecError if labels do not fit, if there are too many cells, or if data that must be
    counted is missing.
    """
    try:
        refuse(labels.problems(spec))
        refuse(attacks.problems(spec))
        refuse(feature_nets.problems(spec))
        refuse(generators.problems(spec))
        refuse(files.problems(spec, "datasets"))
        refuse(sizes.problems(spec))
    except SpecError as problem:
        raise spec.source.locate(problem) from None
    # overlapping lines of `train` give one cell
    precisions = Precisions(float32 if spec.is_smoke else answer, spec.precision)
    by_coords = {tuple(sorted(cell.coords.items())): cell for cell in cells_of(spec, precisions)}
    cells = tuple(by_coords.values())
    answers = {} if spec.is_smoke else precisions.answers
    return Plan(spec, cells, answers, examinations(spec, cells))
