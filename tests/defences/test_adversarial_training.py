"""Adversarial training: what is attacked, and how far."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.augmentation import Augmentation

ATTACK = PGD(eps=0.1, steps=1, step_size=0.1, random_start=False)


def batch(n: int = 10) -> Batch:
    """Grey images, so that the box of valid pixels is far."""
    return Batch(torch.full((n, 1, 2, 2), 0.5), torch.zeros(n, dtype=torch.int64), torch.arange(n))


def model() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2))


def prepared_by(
    defence: AdversarialTraining, net: nn.Module | None = None, progress: float = 0.5
) -> Batch:
    return defence.prepare(net or model(), batch(), progress, Stream("key"))


@pytest.mark.parametrize(("clean_fraction", "clean"), [(0, 0), (0.25, 2), (0.5, 5), (1, 10)])
def test_the_clean_fraction_stays_and_the_others_move_to_the_edge_of_the_ball(
    clean_fraction: float, clean: int
) -> None:
    prepared = prepared_by(AdversarialTraining(attack=ATTACK, clean_fraction=clean_fraction))
    moved = (prepared.x - 0.5).abs().flatten(1).amax(1)
    assert moved[:clean].tolist() == [0] * clean
    assert moved[clean:].tolist() == pytest.approx([0.1] * (10 - clean))


@pytest.mark.parametrize(("progress", "size"), [(0.1, 0.025), (0.2, 0.05), (0.4, 0.1), (0.9, 0.1)])
def test_along_the_ramp_perturbations_grow_to_full_size(progress: float, size: float) -> None:
    prepared = prepared_by(AdversarialTraining(attack=ATTACK, ramp=0.4), progress=progress)
    assert (prepared.x - 0.5).abs().flatten(1).amax(1).tolist() == pytest.approx([size] * 10)


def test_the_attack_raises_the_loss_without_dropout() -> None:
    net = model()
    prepared = prepared_by(AdversarialTraining(attack=ATTACK), net)
    weight = net.get_parameter("2.weight")
    margin = weight[1] - weight[0]
    assert torch.equal((prepared.x - 0.5).sign().flatten(1), margin.sign().expand(10, 4))
    assert net.training


def test_the_attack_leaves_no_gradient_of_the_weights() -> None:
    net = model()
    prepared_by(AdversarialTraining(attack=ATTACK), net)
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())


def test_the_rotated_image_is_attacked() -> None:
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images = Batch(x, torch.arange(64) % 3, torch.arange(64))
    rotated = Augmentation(max_degrees=180).augment(images, Stream("key"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    defence = AdversarialTraining(max_degrees=180, attack=PGD(eps=0.1, steps=1))
    prepared = defence.prepare(net, images, 0.5, Stream("key"))
    assert 0 < (prepared.x - rotated.x).abs().amax() <= 0.1 + 1e-6


def test_the_defaults_are_madrys_mnist_recipe() -> None:
    assert make("defence", "madry_mnist", {}) == AdversarialTraining()


def test_an_attack_may_be_named_in_a_spec() -> None:
    attack = {"use": "pgd", "eps": "8/255", "steps": 7}
    made = make("defence", "adversarial_training", {"attack": attack})
    assert made == AdversarialTraining(attack=PGD(eps=8 / 255, steps=7))


def test_a_smoke_run_shortens_the_attack_too() -> None:
    cheap: Any = AdversarialTraining().smoke()
    assert (cheap.epochs, cheap.attack.steps) == (1, 2)
