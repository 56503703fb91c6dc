"""CCAT: labels that fade with the perturbation, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.attacks.pgd_conf import PGDConf
from invspec.data import Batch
from invspec.defences.ccat import CCAT
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.loss import cross_entropy

# stops at half of its radius
HALF_WAY = PGD(eps=0.1, steps=1, step_size=0.05, random_start=False)


def batch(n: int = 4) -> Batch:
    """Grey images of class 0, so that the box of valid pixels is far."""
    return Batch(torch.full((n, 1, 1, 2), 0.5), torch.zeros(n, dtype=torch.int64), torch.arange(n))


def model() -> nn.Module:
    """Logits 2 a and 4 b of pixels a and b: at (0.5, 0.5) they are 1 and 2."""
    linear = nn.Linear(2, 2, bias=False)
    linear.weight.data = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear)


def prepared_by(defence: CCAT, net: nn.Module, progress: float = 0.5) -> Batch:
    return defence.prepare(net, batch(), progress, Stream("key"))


def test_labels_fade_with_the_share_of_eps_in_the_attacked_half_only() -> None:
    """(1 - 1/2) ** 2 = 1/4 of the label is left, and two classes share 3/4."""
    prepared = prepared_by(CCAT(attack=HALF_WAY, rho=2), model())
    torch.testing.assert_close(prepared.y, torch.tensor([[1.0, 0.0]] * 2 + [[0.625, 0.375]] * 2))
    torch.testing.assert_close(prepared.x[:2], batch().x[:2], rtol=0, atol=0)
    torch.testing.assert_close(prepared.x[2:].flatten(1), torch.tensor([[0.45, 0.55]] * 2))


def test_the_loss_averages_the_clean_and_the_attacked_half() -> None:
    """Logits are (1, 2) clean and (0.9, 2.2) attacked; the losses are those of a softmax of two."""
    net = model().eval()
    defence = CCAT(attack=HALF_WAY, rho=2)
    loss = cross_entropy(net, prepared_by(defence, net), Stream("key"))
    clean, attacked = math.log(1 + math.e), math.log(1 + math.exp(1.3)) - 0.375 * 1.3
    assert loss.value.item() == pytest.approx((clean + attacked) / 2, abs=1e-6)
    assert loss.logits.shape == (4, 2)


def test_on_the_sphere_labels_are_uniform() -> None:
    prepared = prepared_by(
        CCAT(attack=PGD(eps=0.1, steps=2, step_size=0.1, random_start=False)), model()
    )
    torch.testing.assert_close(prepared.y[2:], torch.full((2, 2), 0.5), rtol=0, atol=1e-6)


def test_along_the_ramp_labels_fade_less_with_the_smaller_perturbations() -> None:
    """A quarter of the ramp: a share 1/8 of eps."""
    prepared = prepared_by(CCAT(attack=HALF_WAY, rho=1, ramp=0.4), model(), progress=0.1)
    torch.testing.assert_close(prepared.y[2:, 0], torch.full((2,), 0.5 + 0.5 * 7 / 8))


def test_a_perturbation_is_measured_from_the_augmented_image() -> None:
    x = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    images = Batch(x, torch.zeros(8, dtype=torch.int64), torch.arange(8))
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    prepared = CCAT(attack=HALF_WAY, rho=1, crop=2, flip=True).prepare(
        net, images, 0.5, Stream("key")
    )
    assert prepared.y[:4, 0].tolist() == [1] * 4
    assert (prepared.y[4:, 0] >= 0.75 - 1e-5).all()


class Watched(nn.Module):
    """Records in which mode, and with or without trainable weights, it is called."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.calls = net, set[tuple[bool, bool]]()

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add(
            (self.training, any(weight.requires_grad for weight in self.net.parameters()))
        )
        return self.net(x)


def test_attack_and_labels_use_the_model_in_eval_mode_and_leave_no_gradient() -> None:
    net = Watched(model()).train()
    prepared = prepared_by(CCAT(), net)
    assert net.calls == {(False, False)}
    assert net.training
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())
    assert not prepared.x.requires_grad
    assert not prepared.y.requires_grad


def test_there_are_as_many_classes_as_the_model_has_logits() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 7))
    assert prepared_by(CCAT(), net).y.shape == (4, 7)


def test_the_defaults_and_the_card_for_cifar_are_the_papers_recipes() -> None:
    mnist, cifar = make("defence", "ccat", {}), make("defence", "ccat_cifar10", {})
    attack = PGDConf(eps=0.3, steps=40, step_size=0.005, backtracking=1.5, start="random")
    assert isinstance(mnist, CCAT)
    assert isinstance(cifar, CCAT)
    assert (mnist.attack, mnist.rho, mnist.lr) == (attack, 12, 0.1)
    assert (mnist.decay, mnist.epochs) == (0.93, 100)
    assert cifar.attack == attack.model_copy(update={"eps": 0.03})
    for defence in (mnist, cifar):
        assert (defence.optimiser, defence.schedule) == ("sgd", "exponential")
        assert defence.batch_size == 100
    assert (cifar.rho, cifar.lr, cifar.decay, cifar.epochs) == (10, 0.075, 0.95, 200)


def test_the_baseline_keeps_the_labels_of_attacked_images() -> None:
    baseline: Any = make("defence", "adversarial_training_half", {})
    assert (baseline.attack.loss, baseline.attack.steps, baseline.clean_fraction) == ("ce", 40, 0.5)
    prepared = baseline.model_copy(update={"attack": HALF_WAY}).prepare(
        model(), batch(), 0.5, Stream("key")
    )
    assert prepared.y.tolist() == [0] * 4
    assert ((prepared.x != 0.5).flatten(1).any(1)).tolist() == [False, False, True, True]


def test_an_attack_without_a_ball_is_refused() -> None:
    with pytest.raises(
        ValidationError,
        match="labels fade with the size of a perturbation, but Identity has no ball",
    ):
        CCAT(attack=Identity())


def test_a_ball_in_standardised_units_is_refused() -> None:
    with pytest.raises(
        ValidationError,
        match="labels fade with the size in pixels, but the attack's eps_space is standardised",
    ):
        CCAT(attack=PGD(eps=0.1, eps_space="standardised"))
