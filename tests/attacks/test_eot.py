"""Gradients that are means of several passes, for nets that draw random numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.apgd import APGD
from invspec.attacks.autoattack import AutoAttack
from invspec.attacks.fgsm import FGSM
from invspec.attacks.msd import MSD, BallSettings
from invspec.attacks.pgd import PGD
from invspec.attacks.pgd_conf import PGDConf
from invspec.data import Batch
from invspec.kinds import Attack
from invspec.ops.draws import PerExample

EPS = 0.1
ATTACKS: list[Attack] = [
    PGD(eps=EPS, steps=10, eot=20),
    PGD(eps=EPS, steps=5, restarts=2, eot=20),
    PGD(eps=2, norm="l2", steps=10, eot=20),
    FGSM(eps=EPS, eot=20),
    PGDConf(eps=EPS, steps=10, step_size=0.03, eot=20),
    MSD(balls=(BallSettings(norm="linf", eps=EPS),), steps=10, eot=20),
    APGD(eps=EPS, steps=10, eot=20),
    APGD(eps=EPS, steps=10, loss="dlr_targeted", targets=2, eot=20),
    AutoAttack(eps=EPS, steps=10, suite="rand"),
]
NAMES = ["pgd", "restarts", "l2", "fgsm", "conf", "msd", "apgd", "apgd_targeted", "rand"]


class NoisyLinear(nn.Module):
    """A linear net of 5 classes whose weights are hidden under noise of `sigma` in each pass."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight, self.sigma, self.passes = torch.randn(5, 64, generator=generator), sigma, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        weight = self.weight + self.sigma * torch.randn(len(x), *self.weight.shape)
        return torch.einsum("bkd,bd->bk", weight, x.flatten(1) - 0.5)

    def margin(self, x: Tensor, y: Tensor) -> Tensor:
        """How far the label is ahead without noise, (B,)."""
        logits = (x.flatten(1) - 0.5) @ self.weight.T
        others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        return logits.gather(1, y[:, None]).squeeze(1) - others


@pytest.fixture
def batch() -> Batch:
    """Images that the net classifies correctly without noise."""
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    y = ((x.flatten(1) - 0.5) @ NoisyLinear(0).weight.T).argmax(1)
    return Batch(x, y, torch.arange(64))


def left(attack: Attack, batch: Batch) -> float:
    """The mean margin that an attack leaves."""
    net = NoisyLinear(sigma=3.0)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        result = attack.perturb(net, batch, PerExample("eot", batch.index))
    return float(net.margin(result.x_adv, batch.y).mean())


@pytest.mark.parametrize("attack", ATTACKS[:6], ids=NAMES[:6])
def test_a_mean_of_passes_finds_what_one_noisy_pass_does_not(attack: Attack, batch: Batch) -> None:
    once = attack.model_copy(update={"eot": None})
    start = float(NoisyLinear(0).margin(batch.x, batch.y).mean())
    assert start - left(attack, batch) > 1.5 * (start - left(once, batch))


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_every_pass_is_counted(attack: Attack, batch: Batch) -> None:
    net = NoisyLinear(sigma=0.1)
    result = attack.perturb(net, batch, PerExample("eot", batch.index))
    assert net.passes == result.forwards.sum() > 0


@pytest.mark.parametrize("attack", ATTACKS[:8], ids=NAMES[:8])
def test_for_a_net_without_draws_a_mean_of_passes_changes_next_to_nothing(
    attack: Attack, batch: Batch
) -> None:
    net, once = NoisyLinear(sigma=0), attack.model_copy(update={"eot": None})
    found, expected = (
        one.perturb(net, batch, PerExample("eot", batch.index)) for one in (attack, once)
    )
    margins = [net.margin(result.x_adv, batch.y) for result in (found, expected)]
    # rounding may turn the sign of a gradient that is almost 0
    torch.testing.assert_close(*margins, atol=1e-3, rtol=0)


def test_rand_is_apgd_on_two_losses_with_20_passes() -> None:
    stages: Any = AutoAttack(suite="rand", eps=0.2, norm="l2", steps=7).stages
    assert [(stage.loss, stage.eot) for stage in stages] == [("ce", 20), ("dlr", 20)]
    assert {(stage.eps, stage.norm, stage.steps, stage.restarts) for stage in stages} == {
        (0.2, "l2", 7, 1)
    }
    assert [stage.eot for stage in AutoAttack(suite="rand", eot=3).stages] == [3, 3]  # pyright: ignore[reportAttributeAccessIssue]


def test_the_standard_suite_is_what_it_was() -> None:
    assert AutoAttack(suite="standard").stages == AutoAttack().stages
    assert [type(stage).__name__ for stage in AutoAttack().stages] == [
        "APGD",
        "APGD",
        "FAB",
        "Square",
    ]
    stages: Any = AutoAttack(eot=4).stages
    assert [stage.eot for stage in stages[:2]] == [4, 4]
