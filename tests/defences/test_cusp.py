"""CuSP: what each stage does, and the paper's curriculum."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch
from invspec.defences.cusp import CuSP
from invspec.errors import SpecError
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.augmentation import Augmentation
from invspec.training.curriculum import Stage, stage_at

STAGES = (
    Stage(start=0, max_degrees=0, eps=0.05),
    Stage(start=0.25, max_degrees=45, eps=0),
    Stage(start=0.5, max_degrees=90, eps=0.1),
)


def batch(n: int = 10) -> Batch:
    x = 0.4 + 0.2 * torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n))


@pytest.mark.parametrize(
    ("progress", "stage"), [(0.01, 0), (0.24, 0), (0.25, 1), (0.49, 1), (0.5, 2), (0.99, 2)]
)
def test_each_stage_rotates_by_its_degrees_and_attacks_with_its_eps(
    progress: float, stage: int
) -> None:
    defence = CuSP(
        attack=PGD(eps=0.3, steps=1, relative_step_size=1, random_start=False), stages=STAGES
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    prepared = defence.prepare(model, batch(), progress, Stream("key"))
    rotated = Augmentation(max_degrees=STAGES[stage].max_degrees).augment(batch(), Stream("key"))
    moved = (prepared.x - rotated.x).abs().flatten(1).amax(1)
    assert moved.tolist() == pytest.approx([STAGES[stage].eps] * 10)


def test_the_card_is_the_papers_recipe_in_epochs_of_120() -> None:
    defence: Any = make("defence", "cusp", {})
    epochs = (1, 74, 75, 89, 90, 120)
    stages = [stage_at(defence.stages, (epoch - 0.5) / 120) for epoch in epochs]
    assert [(stage.max_degrees, 255 * stage.eps) for stage in stages] == [
        *[(120, 2), (120, 2), (150, 4), (150, 4), (180, 8), (180, 8)]
    ]
    rates = {epoch: defence.learning_rate((epoch - 0.5) / 120) for epoch in range(1, 121)}
    drops = [epoch for before, epoch in pairwise(rates) if rates[epoch] < rates[before]]
    assert drops == [75, 90, 100]


def test_the_card_crops_and_flips_as_its_rivals_do_and_steps_by_2_of_255() -> None:
    defence: Any = make("defence", "cusp", {})
    assert (defence.crop, defence.flip) == (4, True)
    assert defence.attack == PGD(eps=8 / 255, steps=10, step_size=2 / 255)
    rival: Any = make("defence", "madry_cifar10", {})
    assert (rival.crop, rival.flip) == (defence.crop, defence.flip)


def test_stages_may_be_written_in_a_spec() -> None:
    stages = [
        {"start": 0, "max_degrees": 60, "eps": 0.1},
        {"start": "1/2", "max_degrees": 180, "eps": "8/255"},
    ]
    made: Any = make("defence", "cusp", {"stages": stages})
    assert made.stages[1] == Stage(start=0.5, max_degrees=180, eps=8 / 255)


@pytest.mark.parametrize(
    "stages", [STAGES[1:], (STAGES[0], STAGES[2], STAGES[1]), (STAGES[0], STAGES[0]), ()]
)
def test_stages_start_at_0_and_rise(stages: tuple[Stage, ...]) -> None:
    with pytest.raises(ValidationError, match="expected increasing shares, the first 0"):
        CuSP(stages=stages)


def test_rotations_and_eps_are_left_to_the_stages() -> None:
    with pytest.raises(SpecError, match="max_degrees is 30, but the stages set rotations"):
        make("defence", "cusp", {"max_degrees": 30})
    with pytest.raises(ValidationError, match="RandomRotation has no eps"):
        CuSP(attack=RandomRotation())
