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

HALF_WAY = PGD(eps=0.1, steps=1, step_size=0.05, random_start=False)  # stops at half of its radius


def batch(n: int = 4) -> Batch:
    """Grey images of class 0, so that the box of valid pixels is far."""
    return Batch(torch.full((n, 1, 1, 2), 0.5), torch.zeros(n, dtype=torch.int64), torch.arange(n))


def model() -> nn.Module:
    """Logits 2 a and 4 b of pixels a and b: at (0.5, 0.5) they are 1 and 2."""
    linear = nn.Linear(2, 2, bias=False)
    linear.weight.data = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear)


def lesson_of(defence: CCAT, net: nn.Module, progress: float = 0.5) -> Batch:
    return defence.prepare(net, batch(), progress, Stream("key"))


def test_labels_of_the_first_half_stay_and_those_of_the_second_fade_with_the_share_of_eps() -> None:
    """(1 - 1/2) ** 2 = 1/4 of the label is left, and 3/4 are shared by two classes."""
    prepared = lesson_of(CCAT(attack=HALF_WAY, rho=2), model())
    torch.testing.assert_close(prepared.y, torch.tensor([[1.0, 0.0]] * 2 + [[0.625, 0.375]] * 2))
    torch.testing.assert_close(prepared.x[:2], batch().x[:2], rtol=0, atol=0)
    torch.testing.assert_close(prepared.x[2:].flatten(1), torch.tensor([[0.45, 0.55]] * 2))


def test_the_loss_by_hand_is_half_that_of_the_clean_and_half_that_of_the_attacked_images() -> None:
    """Logits 1 and 2 clean, 0.9 and 2.2 attacked: towards class 0, log(1 + e); softly, log(1 + e^1.3) - 0.375 * 1.3."""
    net = model().eval()
    defence = CCAT(attack=HALF_WAY, rho=2)
    loss, logits = defence.loss(net, lesson_of(defence, net))
    clean, attacked = math.log(1 + math.e), math.log(1 + math.exp(1.3)) - 0.375 * 1.3
    assert loss.item() == pytest.approx((clean + attacked) / 2, abs=1e-6)
    assert logits.shape == (4, 2)


def test_on_the_sphere_nothing_of_the_label_is_left() -> None:
    prepared = lesson_of(
        CCAT(attack=PGD(eps=0.1, steps=2, step_size=0.1, random_start=False)), model()
    )
    torch.testing.assert_close(prepared.y[2:], torch.full((2, 2), 0.5), rtol=0, atol=1e-6)


def test_along_the_ramp_labels_fade_less_with_the_smaller_perturbations() -> None:
    """A quarter of the ramp: a share 1/8 of eps."""
    prepared = lesson_of(CCAT(attack=HALF_WAY, rho=1, ramp=0.4), model(), progress=0.1)
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
    """Tells in which mode, and with how many learning weights, it was asked."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.asked = net, set[tuple[bool, bool]]()

    def forward(self, x: Tensor) -> Tensor:
        self.asked.add(
            (self.training, any(weight.requires_grad for weight in self.net.parameters()))
        )
        return self.net(x)


def test_the_attack_and_the_labels_ask_the_model_in_eval_mode_and_leave_no_gradient() -> None:
    net = Watched(model()).train()
    prepared = lesson_of(CCAT(), net)
    assert net.asked == {(False, False)}
    assert net.training
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())
    assert not prepared.x.requires_grad
    assert not prepared.y.requires_grad


def test_there_are_as_many_classes_as_the_model_has_logits() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 7))
    assert lesson_of(CCAT(), net).y.shape == (4, 7)


def test_the_defaults_and_the_card_for_cifar_are_the_papers_recipes() -> None:
    mnist, cifar = make("defence", "ccat", {}), make("defence", "ccat_cifar10", {})
    attack = PGDConf(eps=0.3, steps=40, step_size=0.005, backtracking=1.5, start="random")
    assert isinstance(mnist, CCAT)
    assert isinstance(cifar, CCAT)
    assert (mnist.attack, mnist.rho, mnist.lr, mnist.decay, mnist.epochs) == (
        attack,
        12,
        0.1,
        0.93,
        100,
    )
    assert cifar.attack == attack.model_copy(update={"eps": 0.03})
    assert all(
        (each.optimiser, each.schedule, each.batch_size) == ("sgd", "exponential", 100)
        for each in (mnist, cifar)
    )
    assert (cifar.rho, cifar.lr, cifar.decay, cifar.epochs) == (10, 0.075, 0.95, 200)


def test_its_baseline_learns_half_clean_half_attacked_images_with_their_labels() -> None:
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
        match="labels fade with the size of a perturbation, and Identity has no ball",
    ):
        CCAT(attack=Identity())


def test_a_ball_in_standardised_units_is_refused() -> None:
    with pytest.raises(ValidationError, match="labels fade with a size in pixels"):
        CCAT(attack=PGD(eps=0.1, eps_space="standardised"))
