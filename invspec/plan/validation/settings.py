"""Settings of attacks that can run and are hardly meant.

These are balls larger than the box of pixels, and steps that cannot reach the edge. Papers print
such settings, so they are warnings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel

from invspec.errors import SpecError
from invspec.kinds import Dataset, Method
from invspec.plan.products import measures_of
from invspec.spec.document import Steps
from invspec.spec.resolved import Spec

# Relative slack for rounding: 10 steps of 0.03 reach eps 0.3.
SLACK = 1e-6

# Whose pixels are numbers from 0 to 255, in 8 bits.
LEVELS = 255


def warnings(spec: Spec) -> Iterator[SpecError]:
    """Doubtful settings of all attacks, those of defences included; none in a smoke run."""
    if spec.is_smoke:
        # it shortens attacks on purpose
        return
    for (part, label), datasets in uses(spec).items():
        for variant in spec.entries[part][label].variants:
            for path, ball in _balls(variant.method, (), None):
                for problem in _doubts(ball, datasets):
                    yield problem.within(part, label, *path)


def uses(spec: Spec) -> Mapping[tuple[str, str], dict[str, Dataset]]:
    """Attacks and defences that are used, with the data sets that they meet, by label."""
    uses: dict[tuple[str, str], dict[str, Dataset]] = {}
    for line in spec.train:
        datasets = {
            label: cast(Dataset, variant.method)
            for label in line.dataset
            for variant in spec.entries["datasets"][label].variants
        }
        attacks = (name for m in measures_of(spec, line) for name in spec.entries["measures"][m].of)
        features = (spec.entries["defences"][label].feature_net for label in line.defence)
        defences = [*line.defence, *(net.defence for net in features if net is not None)]
        used = [("attacks", name) for name in attacks] + [("defences", name) for name in defences]
        for name in used:
            uses.setdefault(name, {}).update(datasets)
    return uses


class Ball:
    """A ball that an attack searches, as the fields of an attack or of a part of it say."""

    def __init__(self, fields: BaseModel, steps: int | None) -> None:
        values = cast(Mapping[str, Any], vars(fields))
        self.eps, self.norm = float(values["eps"]), str(values["norm"])
        self.steps = steps
        relative = values.get("relative_step_size")
        self.step_size: float | None = relative * self.eps if relative else values.get("step_size")
        self.starts_at_random = bool(values.get("random_start"))
        unit = fields.unit_of("eps") if isinstance(fields, Method) else "pixels"
        self.is_in_pixels = unit.startswith("pixels")


def _balls(value: Any, path: Steps, steps: int | None) -> Iterator[tuple[Steps, Ball]]:
    """The balls in a method and in its parts, with their paths in the entry."""
    if isinstance(value, tuple):
        for position, item in enumerate(cast(tuple[Any, ...], value)):
            yield from _balls(item, (*path, position), steps)
    if not isinstance(value, BaseModel):
        return
    values = cast(Mapping[str, Any], vars(value))
    steps = values.get("steps", steps)
    if isinstance(values.get("eps"), float | int) and values["eps"] > 0 and "norm" in values:
        yield path, Ball(value, steps)
    for name, item in values.items():
        if isinstance(item, BaseModel | tuple):
            yield from _balls(item, (*path, name), steps)


def _doubts(ball: Ball, datasets: Mapping[str, Dataset]) -> Iterator[SpecError]:
    yield from _short_walk(ball)
    for label, dataset in datasets.items():
        yield from _beyond_the_box(ball, dataset, label)


def _short_walk(ball: Ball) -> Iterator[SpecError]:
    """Steps that together are shorter than the radius."""
    if ball.steps is None or ball.step_size is None:
        return
    length = ball.steps * ball.step_size
    if length < ball.eps * (1 - SLACK):
        product = f"{ball.steps:,} steps of {ball.step_size:.4g} make {length:.4g}"
        message = f"{product}, less than eps {ball.eps:.4g}: the edge of the ball is out of reach"
        if ball.starts_at_random:
            message = f"{product}, less than eps {ball.eps:.4g}: most of the ball is out of reach"
        yield SpecError(message, hint="take more steps or longer ones", path=("step_size",))


def _beyond_the_box(ball: Ball, dataset: Dataset, label: str) -> Iterator[SpecError]:
    """A ball around any image that holds all images."""
    low, high = dataset.bounds
    diameter = _diameter(high - low, math.prod(dataset.shape), ball.norm)
    if not (ball.is_in_pixels and math.isfinite(diameter) and ball.eps > diameter * (1 + SLACK)):
        return
    message = (
        f"eps {ball.eps:.4g} in {ball.norm} is more than {diameter:.4g}, the largest distance of "
        f"two images of {label} (pixels from {low:g} to {high:g}): the ball holds all images"
    )
    hint = f"was {ball.eps:.4g}/{LEVELS} meant?" if ball.eps <= LEVELS * diameter else ""
    yield SpecError(message, hint=hint, path=("eps",))


def _diameter(width: float, pixels: int, norm: str) -> float:
    """The largest distance of two images whose pixels span an interval of this width."""
    scale = {"linf": 1.0, "l2": math.sqrt(pixels), "l1": float(pixels)}.get(norm)
    # l0 counts pixels, whatever their width
    return float(pixels) if scale is None else width * scale
