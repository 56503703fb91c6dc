"""The divergence that TRADES attacks, its loss, and the attacks that can climb it."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from pydantic import model_validator
from torch import Tensor, nn

from invspec.attacks.fgsm import FGSM
from invspec.attacks.pgd import PGD
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws, Stream
from invspec.training.divergence import (
    START_NOISE,
    DivergenceTraining,
    attack_divergence,
    require_divergence_attack,
    trades_loss,
)

LOG3 = math.log(3)


def batch(n: int = 4) -> Batch:
    x = torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 2, torch.arange(n))


def net() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


class Seen(Attack):
    """Halves the images and keeps the batch that it got."""

    batches: list[Batch]

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        self.batches.append(batch)
        return Perturbed.costing(batch.x / 2, 0, 0)


def test_the_attack_gets_the_nets_own_probabilities_and_a_start_near_x() -> None:
    attack, model, clean = Seen(batches=[]), net(), batch(256)
    prepared = attack_divergence(attack, model, clean, 0.5, Stream("key"), ramp=0.0)
    (seen,) = attack.batches
    torch.testing.assert_close(seen.y, model(clean.x).softmax(1).detach())
    assert seen.start is not None
    # of 1,024 draws: three standard errors are 7 %
    assert (seen.start - clean.x).std().item() == pytest.approx(START_NOISE, rel=0.1)
    assert torch.equal(prepared.x, torch.cat([clean.x, clean.x / 2]))
    assert torch.equal(prepared.y, clean.y)


def test_the_ramp_shortens_the_attacked_half_alone() -> None:
    clean = batch()
    prepared = attack_divergence(Seen(batches=[]), net(), clean, 0.1, Stream("key"), ramp=0.4)
    torch.testing.assert_close(prepared.x, torch.cat([clean.x, (1 - 0.5 / 4) * clean.x]))


class Fixed(nn.Module):
    """Returns these logits, one call after the other."""

    def __init__(self, *logits: Tensor) -> None:
        super().__init__()
        self.logits = list(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.pop(0)


@pytest.mark.parametrize("beta", [0.0, 1.0, 6.0])
def test_the_loss_weighs_the_divergence_from_clean_to_attacked(beta: float) -> None:
    """KL((3/4, 1/4) || (1/2, 1/2)) = 3/4 log(3/2) + 1/4 log(1/2), and not the reverse."""
    clean, adv = torch.tensor([[LOG3, 0.0]]), torch.tensor([[0.0, 0.0]])
    pair = Batch(torch.zeros(2, 1), torch.tensor([0]), torch.arange(1))
    loss = trades_loss(Fixed(clean, adv), pair, Stream("key"), beta=beta)
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert loss.value.item() == pytest.approx(math.log(4 / 3) + beta * divergence, rel=1e-5)
    assert loss.logits is clean


def test_the_divergence_is_the_mean_over_the_batch() -> None:
    clean = torch.tensor([[LOG3, 0.0], [0.0, 0.0]])
    pair = Batch(torch.zeros(4, 1), torch.tensor([0, 0]), torch.arange(2))
    loss = trades_loss(Fixed(clean, torch.zeros(2, 2)), pair, Stream("key"), beta=1.0)
    divergence = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2
    expected = (math.log(4 / 3) + math.log(2)) / 2 + divergence
    assert loss.value.item() == pytest.approx(expected, rel=1e-5)


class Training(DivergenceTraining):
    """Climbs the divergence by PGD."""

    _checked = model_validator(mode="after")(require_divergence_attack)

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        return attack_divergence(self.attack, net, batch, progress, rng, ramp=self.ramp)


@pytest.mark.parametrize(
    "attack",
    [PGD(loss="margin"), PGD(label="predicted"), PGD(restarts=2), FGSM(), Seen(batches=[])],
    ids=["loss", "label", "restarts", "fgsm", "own"],
)
def test_an_attack_that_cannot_climb_the_divergence_is_refused(attack: Attack) -> None:
    with pytest.raises(ValueError, match="must be a pgd with loss ce, label true and restarts 1"):
        Training(attack=attack)


def test_every_image_is_learnt_clean_and_attacked() -> None:
    assert Training(attack=PGD()).clean_fraction == 0
    with pytest.raises(ValueError, match=r"clean_fraction must be 0, found 0\.25"):
        Training(attack=PGD(), clean_fraction=0.25)


def test_a_training_weighs_the_divergence_by_its_beta() -> None:
    clean, adv = torch.tensor([[LOG3, 0.0]]), torch.tensor([[0.0, 0.0]])
    pair = Batch(torch.zeros(2, 1), torch.tensor([0]), torch.arange(1))
    training = Training(attack=PGD(), beta=3)
    values = [
        loss(Fixed(clean, adv), pair, Stream("key")).value
        for loss in (training.loss, partial(trades_loss, beta=3))
    ]
    assert values[0] == values[1]
