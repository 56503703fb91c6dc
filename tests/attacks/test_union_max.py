from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.fgsm import FGSM
from invspec.attacks.identity import Identity
from invspec.attacks.msd import MSD, BallSettings
from invspec.attacks.pgd import PGD
from invspec.attacks.union_max import UnionMax
from invspec.data import Batch
from invspec.kinds import Standardised
from invspec.ops.draws import PerExample
from invspec.ops.losses import LOSSES, Loss
from invspec.registry.methods import make

ATTACKS = (
    PGD(eps=0.016, steps=3, random_start=False),
    PGD(norm="l2", eps=0.07, steps=3, random_start=False),
    MSD(balls=(BallSettings(norm="l1", eps=0.18),), steps=3, sparsity=(2, 2)),
)


class Net(nn.Module):
    """A small nonlinear net that counts the images of its passes."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = (
            torch.randn(shape, generator=generator) for shape in ((32, 24), (24, 4))
        )
        self.images = 0

    def forward(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return (x.flatten(1) @ self.first).sin() @ self.second


def images(n: int = 96) -> Batch:
    x = torch.rand(n, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    return Batch(x, Net()(x).argmax(1), torch.arange(n))


def draws(batch: Batch) -> PerExample:
    return PerExample("task", batch.index)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_example_gets_the_image_of_largest_loss_of_all_attacks(loss: Loss) -> None:
    batch, net = images(), Net()
    x_adv = UnionMax(attacks=ATTACKS, loss=loss).perturb(net, batch, draws(batch)).x_adv
    alone = [attack.perturb(net, batch, draws(batch)).x_adv for attack in ATTACKS]
    values = torch.stack([LOSSES[loss](net(images), batch.y) for images in alone])
    torch.testing.assert_close(LOSSES[loss](net(x_adv), batch.y), values.amax(0), rtol=0, atol=1e-6)
    assert set(values.argmax(0).tolist()) == {0, 1, 2}


def test_with_the_margin_an_example_that_is_not_fooled_withstands_every_attack() -> None:
    batch, net = images(), Net()
    x_adv = UnionMax(attacks=ATTACKS).perturb(net, batch, draws(batch)).x_adv
    alone = [
        net(attack.perturb(net, batch, draws(batch)).x_adv).argmax(1) == batch.y
        for attack in ATTACKS
    ]
    assert torch.equal(net(x_adv).argmax(1) == batch.y, torch.stack(alone).all(0))
    assert 0 < torch.stack(alone).all(0).sum() < min(correct.sum() for correct in alone)


def test_passes_are_those_of_each_attack_and_one_to_judge_it() -> None:
    batch, net = images(8), Net()
    result = UnionMax(attacks=ATTACKS).perturb(net, batch, draws(batch))
    assert set(result.forwards.tolist()) == {(3 + 1) + (3 + 1) + (4 + 1)}
    assert set(result.backwards.tolist()) == {9}
    assert int(result.forwards.sum()) == net.images


def test_attacks_with_eps_0_are_left_out_and_a_single_one_is_not_judged() -> None:
    batch, net = images(8), Net()
    lone = PGD(norm="l2", eps=0.5, steps=3)
    result = UnionMax(attacks=(PGD(eps=0.0), lone, FGSM(eps=0.0))).perturb(net, batch, draws(batch))
    expected = lone.perturb(net, batch, draws(batch))
    assert torch.equal(result.x_adv, expected.x_adv)
    assert torch.equal(result.forwards, expected.forwards)


def test_with_every_eps_0_it_returns_x_and_skips_the_model() -> None:
    batch, net = images(8), Net()
    net.images = 0
    result = UnionMax(attacks=(PGD(eps=0.0), FGSM(eps=0.0))).perturb(net, batch, draws(batch))
    assert torch.equal(result.x_adv, batch.x)
    assert (int(result.forwards.sum()), net.images) == (0, 0)


def test_it_accepts_the_models_that_its_attacks_accept() -> None:
    assert UnionMax(attacks=(Identity(), PGD(eps_space="standardised"))).accepts is Standardised
    assert UnionMax().accepts is None
    assert not UnionMax().wants_target


def test_a_smoke_run_shortens_every_attack() -> None:
    assert [
        attack.steps for attack in UnionMax().smoke().attacks if isinstance(attack, PGD | MSD)
    ] == [2, 2, 2]


def test_attacks_may_be_written_in_a_spec() -> None:
    made = make(
        "attack",
        "union_max",
        {"attacks": [{"use": "pgd", "eps": "8/255"}, {"use": "fgsm"}], "loss": "ce"},
    )
    assert made == UnionMax(attacks=(PGD(eps=8 / 255), FGSM()), loss="ce")
