"""AVG, and the cards of MSD and MAX: adversarial training with those attacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from invspec.attacks.fgsm import FGSM
from invspec.attacks.identity import Identity
from invspec.attacks.msd import MSD, BallSettings
from invspec.attacks.pgd import PGD
from invspec.attacks.union_max import UnionMax
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.avg import AVG
from invspec.kinds import Attack
from invspec.ops.draws import Stream
from invspec.ops.norms import size
from invspec.ops.types import Norm
from invspec.registry.methods import make

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
BALLS = (
    BallSettings(norm="l1", eps=0.9, step_size=0.9),
    BallSettings(norm="l2", eps=0.3, step_size=0.3),
    BallSettings(norm="linf", eps=0.1, step_size=0.1),
)


def batch(n: int = 10) -> Batch:
    """Grey images, so that the box of valid pixels is far."""
    return Batch(torch.full((n, 1, 4, 4), 0.5), torch.arange(n) % 2, torch.arange(n))


def net() -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 2))


def radii(attacks: tuple[Attack, ...]) -> dict[str, float]:
    """eps by norm of attacks that have one ball each."""
    balls = [attack.balls[0] if isinstance(attack, MSD) else attack for attack in attacks]
    return {ball.norm: ball.eps for ball in balls if isinstance(ball, BallSettings | PGD)}


def attack_of(name: str) -> Any:
    made = make("defence", name, {})
    assert isinstance(made, AdversarialTraining)
    return made.attack


def test_msd_fills_one_of_its_balls() -> None:
    defence = AdversarialTraining(attack=MSD(balls=BALLS, steps=2), clean_fraction=0.2)
    prepared = defence.prepare(net(), batch(), 0.5, Stream("key"))
    assert torch.equal(prepared.x[:2], batch().x[:2])
    delta = prepared.x[2:] - 0.5
    spent = torch.stack([size(delta, ball.norm) / ball.eps for ball in BALLS])
    assert (spent <= 1 + 1e-5).any(0).all()
    assert (spent > 0.99).any(0).all()


def test_avg_learns_from_every_attack_on_every_image() -> None:
    attacks = (FGSM(eps=0.1), Identity(), FGSM(eps=0.3, norm="l2"))
    prepared = AVG(attacks=attacks).prepare(net(), batch(), 0.5, Stream("key"))
    assert prepared.y.tolist() == batch().y.tolist() * 3
    assert prepared.index.tolist() == list(range(10)) * 3
    linf, clean, l2 = (prepared.x - 0.5).split(10)
    torch.testing.assert_close(size(linf, "linf"), torch.full((10,), 0.1))
    assert not clean.any()
    torch.testing.assert_close(size(l2, "l2"), torch.full((10,), 0.3))


@pytest.mark.parametrize(("progress", "share"), [(0.1, 0.25), (0.4, 1.0), (0.9, 1.0)])
def test_along_the_ramp_every_attack_of_avg_grows_to_its_full_size(
    progress: float, share: float
) -> None:
    prepared = AVG(attacks=(FGSM(eps=0.1), FGSM(eps=0.2)), ramp=0.4).prepare(
        net(), batch(), progress, Stream("key")
    )
    expected = torch.tensor([0.1] * 10 + [0.2] * 10) * share
    torch.testing.assert_close(size(prepared.x - 0.5, "linf"), expected)


def test_avg_attacks_in_eval_mode_and_leaves_the_weights_no_gradient() -> None:
    model = net()
    AVG(attacks=(FGSM(), PGD(steps=1))).prepare(model, batch(), 0.5, Stream("key"))
    assert model.training
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", ["msd", "max", "avg"])
def test_on_mnist_lr_peaks_at_two_fifths_and_falls_to_0(name: str) -> None:
    recipe: Any = make("defence", name, {})
    assert (recipe.epochs, recipe.batch_size, recipe.optimiser) == (15, 100, "adam")
    assert [recipe.learning_rate(at) for at in (0, 0.2, 0.4, 0.7, 1)] == pytest.approx(
        [0, 5e-4, 1e-3, 5e-4, 0]
    )


@pytest.mark.parametrize("name", ["msd_cifar10", "max_cifar10", "avg_cifar10"])
def test_on_cifar_lr_has_a_second_knot_and_images_are_cropped_and_mirrored(name: str) -> None:
    recipe: Any = make("defence", name, {})
    assert (recipe.epochs, recipe.batch_size) == (50, 128)
    assert (recipe.optimiser, recipe.momentum, recipe.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (recipe.crop, recipe.flip, recipe.precision) == (4, True, "bfloat16")
    assert [recipe.learning_rate(at) for at in (0, 0.4, 0.6, 0.8, 1)] == pytest.approx(
        [0, 0.1, 0.0525, 0.005, 0]
    )


@pytest.mark.parametrize(
    ("cifar", "eps"), [("", (0.3, 2.0, 10)), ("_cifar10", (0.03, 0.3, 12))], ids=["mnist", "cifar"]
)
def test_all_three_train_in_the_same_balls(cifar: str, eps: tuple[float, float, float]) -> None:
    expected = dict(zip(NORMS, eps, strict=True))
    msd, worst, average = (
        attack_of(f"msd{cifar}"),
        attack_of(f"max{cifar}"),
        make("defence", f"avg{cifar}", {}),
    )
    assert isinstance(msd, MSD)
    assert isinstance(worst, UnionMax)
    assert isinstance(average, AVG)
    assert {ball.norm: ball.eps for ball in msd.balls} == expected
    assert radii(worst.attacks) == radii(average.attacks) == expected
    assert worst.loss == "ce"


def test_smoke_cuts_down_every_attack_of_avg() -> None:
    cheap = AVG().smoke()
    assert cheap.epochs == 1
    assert [attack.steps for attack in cheap.attacks if isinstance(attack, PGD | MSD)] == [2, 2, 2]
