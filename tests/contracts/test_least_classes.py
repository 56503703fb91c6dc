"""Every attack runs on the least number of classes that it names, and on no fewer."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from attack_toys import ATTACKS, attack_of, batch_of, toy_for
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError
from invspec.kinds import Attack, Standardised
from invspec.ops.draws import PerExample

PLAIN = [name for name in ATTACKS if attack_of(name).accepts in (None, Standardised)]


class FewClasses(nn.Module):
    """The first classes of a toy."""

    pixel_std: Tensor

    def __init__(self, toy: nn.Module, classes: int) -> None:
        super().__init__()
        self.toy, self.classes = toy, classes
        self.register_buffer("pixel_std", toy.get_buffer("pixel_std"))

    def forward(self, x: Tensor) -> Tensor:
        return self.toy(x)[:, : self.classes]


def perturbed(attack: Attack, classes: int) -> Perturbed:
    net = FewClasses(toy_for("pgd"), classes).eval().requires_grad_(False)
    batch: Batch = batch_of(6)
    few = replace(batch, y=batch.y % classes, y_target=(batch.y + 1) % classes)
    draws = PerExample("key", batch.index)
    return attack.perturb(net, few, draws)


def with_losses() -> list[Attack]:
    """Every attack, with each of its losses."""
    attacks = [attack_of(name) for name in PLAIN]
    return [
        attack.model_copy(update={"loss": loss})
        for attack in attacks
        if "loss" in type(attack).model_fields
        for loss in get_args(type(attack).model_fields["loss"].annotation)
    ] + attacks


def name_of(attack: Attack) -> str:
    return f"{type(attack).__name__} {getattr(attack, 'loss', '')}".strip()


@pytest.mark.parametrize("attack", with_losses(), ids=name_of)
def test_an_attack_runs_on_its_least_number_of_classes(attack: Attack) -> None:
    assert perturbed(attack, attack.least_classes).x_adv.shape == batch_of(6).x.shape


@pytest.mark.parametrize(
    "attack", [attack for attack in with_losses() if attack.least_classes > 2], ids=name_of
)
def test_it_runs_on_no_fewer(attack: Attack) -> None:
    with pytest.raises(InvspecError, match="needs at least"):
        perturbed(attack, attack.least_classes - 1)
