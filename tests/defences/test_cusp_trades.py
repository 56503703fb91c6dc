"""CuSP with the loss of TRADES."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch
from invspec.defences.cusp_trades import CuSPTRADES
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.augmentation import Augmentation
from invspec.training.curriculum import Stage

ATTACK = PGD(eps=0.1, steps=5, step_size=0.05)
STAGES = (Stage(start=0, max_degrees=0, eps=0.02), Stage(start=0.5, max_degrees=90, eps=0.1))


def batch(n: int = 8) -> Batch:
    """Greyish images, so that the box of valid pixels is far."""
    x = 0.4 + 0.2 * torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


@pytest.mark.parametrize(("progress", "stage"), [(0.1, STAGES[0]), (0.9, STAGES[1])])
def test_a_stage_sets_rotations_and_the_ball_of_the_divergence_attack(
    progress: float, stage: Stage
) -> None:
    defence = CuSPTRADES(attack=ATTACK, stages=STAGES, beta=5)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3))
    x, x_adv = defence.prepare(net, batch(), progress, Stream("key")).x.chunk(2)
    rotated = Augmentation(max_degrees=stage.max_degrees).augment(batch(), Stream("key"))
    assert torch.equal(x, rotated.x)
    assert (x_adv - x).abs().max().item() == pytest.approx(stage.eps, abs=1e-6)


def test_the_card_has_the_recipe_of_cusp_but_for_its_steps_and_its_second_stage() -> None:
    cusp, both = (make("defence", name, {}) for name in ("cusp", "cusp_trades"))
    assert isinstance(both, CuSPTRADES)
    assert both.beta == 5
    differ = [name for name, value in cusp if getattr(both, name) != value]
    assert differ == ["attack", "stages"]
    assert both.attack == PGD(eps=8 / 255, steps=10, step_size=0.007)
    stages = [(stage.max_degrees, round(255 * stage.eps)) for stage in both.stages]
    assert stages == [(120, 2), (120, 4), (180, 8)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attack": RandomRotation()}, "RandomRotation has no eps"),
        ({"attack": PGD(restarts=2)}, "TRADES attacks its own divergence"),
        ({"max_degrees": 30}, "the stages set rotations"),
    ],
)
def test_what_cusp_or_trades_refuses_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CuSPTRADES(**fields)
