"""TRADES: its loss by hand, where its attack climbs to, and that both halves of it are learnt."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch
from invspec.defences.cusp import Stage
from invspec.defences.standard import Standard
from invspec.defences.trades import TRADES, CuSPTRADES
from invspec.ops.draws import Stream
from invspec.registry.methods import make

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
    """Gives the first images these logits, and those that come next the others."""

    def __init__(self, *logits: list[list[float]]) -> None:
        super().__init__()
        self.left = [torch.tensor(rows) for rows in logits]

    def forward(self, x: Tensor) -> Tensor:
        return self.left.pop(0)


def test_the_loss_by_hand() -> None:
    """f(x) = (1/2, 1/2), f(x_adv) = (1/4, 3/4): the divergence is log(4/3) / 2, the cross-entropy log 2."""
    prepared = Batch(torch.zeros(4, 1), torch.tensor([0, 1]), torch.arange(2))
    model = Fixed([[0.0, 0.0]] * 2, [[0.0, torch.tensor(3.0).log().item()]] * 2)
    loss, logits = TRADES(beta=6).loss(model, prepared)
    expected = torch.tensor(2.0).log() + 6 * torch.tensor(4 / 3).log() / 2
    torch.testing.assert_close(loss, expected)
    assert logits.tolist() == [[0.0, 0.0]] * 2


def test_a_lesson_is_the_clean_images_and_then_the_attacked_ones() -> None:
    given = batch()
    prepared = TRADES(attack=ATTACK).prepare(net(), given, 0.5, Stream("key"))
    x, x_adv = prepared.x.chunk(2)
    assert torch.equal(x, given.x)
    assert torch.equal(prepared.y, given.y)
    assert prepared.start is None
    moved = (x_adv - x).abs().flatten(1).amax(1)
    torch.testing.assert_close(moved, torch.full((8,), 0.1))


def test_the_attack_climbs_the_divergence_and_not_the_loss_of_the_label() -> None:
    model, given = net(), batch()
    _, x_adv = TRADES(attack=ATTACK).prepare(model, given, 0.5, Stream("key")).x.chunk(2)
    from_label = (
        PGD(eps=0.1, steps=5, step_size=0.05, random_start=False)
        .perturb(model, given, Stream("key"))
        .x_adv
    )
    found, other = (divergence(model, given.x, one) for one in (x_adv, from_label))
    assert found.mean() > other.mean() > 0
    assert not torch.equal(x_adv, from_label)


def test_the_attack_starts_a_little_beside_x_where_there_is_a_gradient() -> None:
    seen: list[Tensor] = []
    model, given = net(), batch(64)
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    TRADES(attack=ATTACK).prepare(model, given, 0.5, Stream("key"))
    assert torch.equal(seen[0], given.x)
    assert (seen[1] - given.x).std() == pytest.approx(
        0.001, rel=0.1
    )  # 1,024 draws: 3 % is three standard errors


def test_both_arguments_of_the_divergence_are_learnt() -> None:
    """With beta alone the gradient by parameter is that of the definition, in which both f(x) and f(x_adv) depend."""
    model, defence = net(), TRADES(attack=ATTACK, beta=6)
    prepared = defence.prepare(model, batch(), 0.5, Stream("key"))
    found = torch.autograd.grad(defence.loss(model, prepared)[0], list(model.parameters()))
    x, x_adv = prepared.x.chunk(2)
    total = F.cross_entropy(model(x), prepared.y) + 6 * divergence(model, x, x_adv).mean()
    for one, other in zip(found, torch.autograd.grad(total, list(model.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_batch_norm_sees_the_clean_and_the_attacked_images_each_by_itself() -> None:
    norm = nn.BatchNorm2d(1, momentum=1.0)
    model = nn.Sequential(norm, nn.Flatten(), nn.Linear(16, 3))
    prepared = TRADES(attack=ATTACK).prepare(model, batch(), 0.5, Stream("key"))
    assert norm.running_mean.item() == 0  # the attack was in eval mode
    TRADES().loss(model, prepared)
    torch.testing.assert_close(norm.running_mean, prepared.x.chunk(2)[1].mean().view(1))


def test_images_are_augmented_before_they_are_attacked() -> None:
    defence = TRADES(attack=ATTACK, max_degrees=180)
    prepared = defence.prepare(net(), batch(), 0.5, Stream("key"))
    turned = Standard(max_degrees=180).prepare(net(), batch(), 0.5, Stream("key"))
    assert torch.equal(prepared.x.chunk(2)[0], turned.x)


def test_cusp_has_its_loss_within_its_stages() -> None:
    stages = (Stage(start=0, max_degrees=0, eps=0.02), Stage(start=0.5, max_degrees=90, eps=0.1))
    defence = CuSPTRADES(attack=ATTACK, stages=stages, beta=5)
    for progress, stage in ((0.1, stages[0]), (0.9, stages[1])):
        prepared = defence.prepare(net(), batch(), progress, Stream("key"))
        turned = Standard(max_degrees=stage.max_degrees).prepare(
            net(), batch(), progress, Stream("key")
        )
        x, x_adv = prepared.x.chunk(2)
        assert torch.equal(x, turned.x)
        assert (x_adv - x).abs().max().item() == pytest.approx(stage.eps, abs=1e-6)
    assert type(defence).loss is TRADES.loss


def test_the_cards_are_the_papers_settings() -> None:
    mnist, cifar10, cusp = (
        make("defence", name, {}) for name in ("trades", "trades_cifar10", "cusp_trades")
    )
    assert (mnist.attack, mnist.beta) == (PGD(eps=0.3, steps=40, step_size=0.01), 1)
    assert (cifar10.attack, cifar10.beta) == (PGD(eps=0.031, steps=10, step_size=0.007), 6)
    plain = make("defence", "cusp", {})
    assert cusp.beta == 5
    assert {name: getattr(cusp, name) for name in type(plain).model_fields} == dict(plain)


@pytest.mark.parametrize(
    "attack", [RandomRotation(), PGD(loss="margin"), PGD(restarts=2), PGD(label="predicted")]
)
def test_an_attack_that_climbs_something_else_is_refused(attack: PGD) -> None:
    with pytest.raises(ValidationError, match="TRADES climbs its own divergence"):
        TRADES(attack=attack)


def test_a_part_that_stays_clean_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"clean_fraction is 0\.5"):
        TRADES(clean_fraction=0.5)
