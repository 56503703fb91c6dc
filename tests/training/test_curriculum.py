"""Stages: which one is on when, and what they set."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from pydantic import TypeAdapter, ValidationError

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.kinds import Attack
from invspec.training.augmentation import Augmentation
from invspec.training.curriculum import (
    CIFAR10_STAGES,
    Stage,
    Stages,
    require_stages_decide,
    stage_at,
)


def stages_at(*starts: float) -> list[Stage]:
    return [Stage(start=start, max_degrees=0, eps=0) for start in starts]


def test_the_last_stage_that_has_begun_is_on() -> None:
    stages = stages_at(0, 0.25, 0.5)
    for progress, number in ((0.001, 0), (0.249, 0), (0.25, 1), (0.4, 1), (0.5, 2), (0.999, 2)):
        assert stage_at(stages, progress) is stages[number]


def test_one_stage_may_last_the_whole_training() -> None:
    (stage,) = stages_at(0)
    assert stage_at([stage], 0.001) is stage_at([stage], 0.999) is stage


@pytest.mark.parametrize("starts", [(), (0.1,), (0, 0), (0, 0.5, 0.25)])
def test_stages_begin_at_0_and_rise(starts: tuple[float, ...]) -> None:
    with pytest.raises(
        ValidationError, match=r"stages start at \[.*\]; expected increasing shares"
    ):
        TypeAdapter(Stages).validate_python(tuple(stages_at(*starts)))


@pytest.mark.parametrize(
    "fields", [{"start": 1}, {"start": -0.1}, {"max_degrees": 181}, {"eps": -1}, {"steps": 3}]
)
def test_a_stage_outside_its_range_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Stage.model_validate({"start": 0, "max_degrees": 0, "eps": 0, **fields})


def test_a_stage_sets_rotations_and_eps_and_nothing_else() -> None:
    stage = Stage(start=0, max_degrees=45, eps=0.25)
    assert stage.rotating(Augmentation(crop=2, max_degrees=10)) == Augmentation(
        crop=2, max_degrees=45
    )
    assert stage.limited(PGD(eps=0.1, steps=3)) == PGD(eps=0.25, steps=3)


def test_the_stages_for_cifar10_are_valid() -> None:
    assert TypeAdapter(Stages).validate_python(CIFAR10_STAGES) == CIFAR10_STAGES


class Training(NamedTuple):
    """What the stages set."""

    max_degrees: float
    attack: Attack


def test_stages_need_an_attack_with_eps_and_no_rotations_beside_them() -> None:
    training = Training(0, PGD())
    assert require_stages_decide(training) is training
    with pytest.raises(ValueError, match="max_degrees is 30, but the stages set rotations"):
        require_stages_decide(Training(30, PGD()))
    with pytest.raises(ValueError, match="RandomRotation has no eps for the stages to set"):
        require_stages_decide(Training(0, RandomRotation()))
