"""One attack after another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.attacks.composed import Composed
from invspec.attacks.fgsm import FGSM
from invspec.attacks.fixed_transforms import FixedShift
from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import PerExample


class Linear(nn.Module):
    """Two classes: a weighted sum of the pixels, and its negative."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(1, 36, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(torch.cat([weight, -weight]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(8, 1, 6, 6, generator=generator)
    return Batch(x, torch.arange(8) % 2, torch.arange(8))


def perturbed(attack: Attack, start: Batch | None = None) -> Perturbed:
    given = start or batch()
    return attack.perturb(Linear(), given, PerExample("task", given.index))


def test_the_second_ball_is_around_the_result_of_the_first() -> None:
    shift = FixedShift(right=1)
    result = perturbed(Composed(first=shift, then=FGSM(eps=0.1)))
    moved = perturbed(shift).x_adv
    assert (result.x_adv - moved).abs().amax() <= 0.1 + 1e-6
    expected = perturbed(FGSM(eps=0.1), Batch(moved, batch().y, batch().index)).x_adv
    assert torch.equal(result.x_adv, expected)


def test_an_attack_composed_with_none_is_itself() -> None:
    pgd = PGD(eps=0.1, steps=3)
    expected = perturbed(pgd)
    for attack in (Composed(first=Identity(), then=pgd), Composed(first=pgd, then=Identity())):
        result = perturbed(attack)
        assert torch.equal(result.x_adv, expected.x_adv)
        assert torch.equal(result.forwards, expected.forwards)


def test_passes_of_both_count() -> None:
    pgd = PGD(eps=0.1, steps=3, random_start=False)
    result = perturbed(Composed(first=pgd, then=pgd))
    assert set(result.backwards.tolist()) == {6}


def test_it_follows_the_gradients_of_its_parts() -> None:
    assert Composed(first=RandomRotation(), then=PGD(loss="margin")).gradient_loss == "margin"
    assert Composed(first=RandomRotation(), then=Identity()).gradient_loss is None
