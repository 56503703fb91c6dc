"""Learning rates along each schedule, and fields that contradict each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from invspec.training.recipe import Recipe


@pytest.mark.parametrize(
    ("recipe", "progress", "rate"),
    [
        (Recipe(lr=2), 0.7, 2),
        (Recipe(lr=2, schedule="cosine"), 0.5, 1),
        (Recipe(lr=2, schedule="cosine"), 1 / 3, 1.5),
        (Recipe(lr=2, schedule="one_cycle", warmup=0.4), 0.2, 1),
        (Recipe(lr=2, schedule="one_cycle", warmup=0.4), 0.4, 2),
        (Recipe(lr=2, schedule="one_cycle", warmup=0.4), 0.7, 1),
        (Recipe(lr=2, schedule="one_cycle", warmup=0), 0.5, 1),
        (Recipe(lr=2, schedule="one_cycle", warmup=1), 0.5, 1),
        (Recipe(lr=2, epochs=8, schedule="milestones", milestones=(4, 6)), 0.49, 2),
        (Recipe(lr=2, epochs=8, schedule="milestones", milestones=(4, 6)), 0.51, 0.2),
        (Recipe(lr=2, epochs=8, schedule="milestones", milestones=(4, 6), decay=0.5), 0.9, 0.5),
        (Recipe(lr=2, epochs=4, schedule="exponential", decay=0.5), 0.6, 0.5),
        (Recipe(lr=2, schedule="piecewise", knots=((0, 0), (0.5, 1), (1, 0))), 0.25, 1),
        (Recipe(lr=2, schedule="piecewise", knots=((0, 0), (0.5, 1), (1, 0))), 0.75, 1),
    ],
)
def test_the_learning_rate_along_each_schedule(
    recipe: Recipe, progress: float, rate: float
) -> None:
    assert recipe.learning_rate(progress) == pytest.approx(rate)


def test_milestones_and_their_schedule_come_together() -> None:
    with pytest.raises(ValidationError, match="expected milestones if and only if"):
        Recipe(milestones=(3,))
    with pytest.raises(ValidationError, match="expected milestones if and only if"):
        Recipe(schedule="milestones")


@pytest.mark.parametrize("milestones", [(50,), (-3, 1), (0,), (1, 1), (2, 1)])
def test_milestones_are_rising_epochs_of_the_training(milestones: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="are not increasing epochs below 3"):
        Recipe(epochs=3, schedule="milestones", milestones=milestones)


def test_knots_and_their_schedule_come_together() -> None:
    with pytest.raises(ValidationError, match="expected knots if and only if"):
        Recipe(knots=((0, 1), (1, 1)))
    with pytest.raises(ValidationError, match="expected knots if and only if"):
        Recipe(schedule="piecewise")


@pytest.mark.parametrize(
    "knots", [((0, 1), (0.5, 1)), ((0, 1), (0.7, 1), (0.5, 1), (1, 1)), ((0, 1), (1, -1))]
)
def test_knots_span_the_training_in_order(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValidationError, match="expected shares that increase from 0 to 1"):
        Recipe(schedule="piecewise", knots=knots)
