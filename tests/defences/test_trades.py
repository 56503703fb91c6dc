"""TRADES: its loss by hand, what its attack climbs, and which parts get gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch
from invspec.defences.trades import TRADES
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.augmentation import Augmentation
from invspec.training.divergence import trades_loss

ATTACK = PGD(eps=0.1, steps=5, step_size=0.05)


def batch(n: int = 8) -> Batch:
    """Greyish images, so that the box of valid pixels is far."""
    x = 0.4 + 0.2 * torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def net() -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3))


def divergence(model: nn.Module, x: Tensor, x_adv: Tensor) -> Tensor:
    """KL(f(x) || f(x_adv)) by its definition, (B,)."""
    p, q = model(x).softmax(1), model(x_adv).softmax(1)
    return (p * (p / q).log()).sum(1)


class Fixed(nn.Module):
    """Returns these logits, one call after the other."""

    def __init__(self, *logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = [torch.tensor(rows) for rows in logits]

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.pop(0)


def test_the_loss_by_hand() -> None:
    """f(x) = (1/2, 1/2) and f(x_adv) = (1/4, 3/4): the divergence is log(4/3) / 2."""
    prepared = Batch(torch.zeros(4, 1), torch.tensor([0, 1]), torch.arange(2))
    model = Fixed([[0.0, 0.0]] * 2, [[0.0, torch.tensor(3.0).log().item()]] * 2)
    loss = trades_loss(model, prepared, Stream("key"), beta=6)
    expected = torch.tensor(2.0).log() + 6 * torch.tensor(4 / 3).log() / 2
    torch.testing.assert_close(loss.value, expected)
    assert loss.logits.tolist() == [[0.0, 0.0]] * 2


def test_a_prepared_batch_has_the_clean_images_and_then_the_attacked_ones() -> None:
    clean = batch()
    prepared = TRADES(attack=ATTACK).prepare(net(), clean, 0.5, Stream("key"))
    x, x_adv = prepared.x.chunk(2)
    assert torch.equal(x, clean.x)
    assert torch.equal(prepared.y, clean.y)
    assert prepared.start is None
    moved = (x_adv - x).abs().flatten(1).amax(1)
    torch.testing.assert_close(moved, torch.full((8,), 0.1))


def test_the_attack_climbs_the_divergence_and_not_the_loss_of_the_label() -> None:
    model, clean = net(), batch()
    _, x_adv = TRADES(attack=ATTACK).prepare(model, clean, 0.5, Stream("key")).x.chunk(2)
    plain = PGD(eps=0.1, steps=5, step_size=0.05, random_start=False)
    from_label = plain.perturb(model, clean, Stream("key")).x_adv
    climbed, other = (divergence(model, clean.x, x).mean() for x in (x_adv, from_label))
    assert climbed > other > 0
    assert not torch.equal(x_adv, from_label)


def test_the_attack_starts_near_x_where_there_is_a_gradient() -> None:
    seen: list[Tensor] = []
    model, clean = net(), batch(64)
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    TRADES(attack=ATTACK).prepare(model, clean, 0.5, Stream("key"))
    assert torch.equal(seen[0], clean.x)
    # of 1,024 draws: three standard errors are 7 %
    assert (seen[1] - clean.x).std() == pytest.approx(0.001, rel=0.1)


def test_both_arguments_of_the_divergence_get_gradients() -> None:
    """The gradient of the weights is that of the definition, through f(x) and f(x_adv)."""
    model, defence = net(), TRADES(attack=ATTACK, beta=6)
    prepared = defence.prepare(model, batch(), 0.5, Stream("key"))
    weights = list(model.parameters())
    loss = trades_loss(model, prepared, Stream("key"), beta=defence.beta).value
    x, x_adv = prepared.x.chunk(2)
    expected = F.cross_entropy(model(x), prepared.y) + 6 * divergence(model, x, x_adv).mean()
    gradients = (torch.autograd.grad(value, weights) for value in (loss, expected))
    for actual, by_definition in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, by_definition, rtol=1e-4, atol=1e-6)


def test_batch_norm_sees_clean_and_attacked_images_separately() -> None:
    norm = nn.BatchNorm2d(1, momentum=1.0)
    model = nn.Sequential(norm, nn.Flatten(), nn.Linear(16, 3))
    prepared = TRADES(attack=ATTACK).prepare(model, batch(), 0.5, Stream("key"))
    assert norm.running_mean.item() == 0  # the attack was in eval mode
    trades_loss(model, prepared, Stream("key"), beta=1)
    torch.testing.assert_close(norm.running_mean, prepared.x.chunk(2)[1].mean().view(1))


def test_images_are_augmented_before_they_are_attacked() -> None:
    defence = TRADES(attack=ATTACK, max_degrees=180)
    prepared = defence.prepare(net(), batch(), 0.5, Stream("key"))
    rotated = Augmentation(max_degrees=180).augment(batch(), Stream("key"))
    assert torch.equal(prepared.x.chunk(2)[0], rotated.x)


def test_the_cards_are_the_papers_settings() -> None:
    mnist, cifar10 = (make("defence", name, {}) for name in ("trades", "trades_cifar10"))
    assert isinstance(mnist, TRADES)
    assert isinstance(cifar10, TRADES)
    assert (mnist.attack, mnist.beta) == (PGD(eps=0.3, steps=40, step_size=0.01), 1)
    assert (cifar10.attack, cifar10.beta) == (PGD(eps=0.031, steps=10, step_size=0.007), 6)


@pytest.mark.parametrize(
    "attack", [RandomRotation(), PGD(loss="margin"), PGD(restarts=2), PGD(label="predicted")]
)
def test_an_attack_that_cannot_climb_the_divergence_is_refused(attack: PGD) -> None:
    with pytest.raises(ValidationError, match="TRADES attacks its own divergence"):
        TRADES(attack=attack)


def test_a_clean_fraction_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"clean_fraction must be 0, found 0\.5"):
        TRADES(clean_fraction=0.5)
