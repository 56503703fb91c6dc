"""Standard training: a gradient step by hand, augmented images, and the recipe of the paper."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from recipes import weights
from torch import nn

from invspec.data import Journal, TensorSplit
from invspec.defences.standard import Standard
from invspec.ops.draws import Stream
from invspec.registry.methods import make


def net() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def data(n: int = 12) -> TensorSplit:
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return TensorSplit(x, torch.arange(n) % 3)


def trained(defence: Standard, split: TensorSplit, key: str = "key") -> nn.Module:
    model = net()
    defence.train(model, split, Stream(key), Journal())
    return model


def test_one_update_is_one_step_down_the_gradient_of_the_cross_entropy() -> None:
    model, split = net(), data()
    (batch,) = split.batches(12)
    loss = F.cross_entropy(model(batch.x), batch.y)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(model.parameters(), gradients, strict=True):
            weight -= 0.5 * gradient
    found = trained(Standard(epochs=1, batch_size=12, lr=0.5), split)
    torch.testing.assert_close(weights(found), weights(model))


def test_training_goes_up_to_the_optimum() -> None:
    """With decay the loss is strictly convex: at its optimum the gradient is 0."""
    split = data()
    defence = Standard(epochs=150, batch_size=12, lr=0.5, weight_decay=0.1)
    model = trained(defence, split)
    (batch,) = split.batches(12)
    penalty = sum(weight.square().sum() for weight in model.parameters())
    loss = F.cross_entropy(model(batch.x), batch.y) + 0.1 / 2 * penalty
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    assert max(part.abs().max().item() for part in gradient) < 1e-4


def test_images_are_augmented() -> None:
    plain, rotated = (
        weights(trained(Standard(epochs=1, batch_size=12, max_degrees=degrees), data()))
        for degrees in (0, 180)
    )
    assert not torch.equal(plain, rotated)


def test_the_key_of_the_draws_decides_the_order_and_nothing_else_does() -> None:
    defence = Standard(epochs=1, batch_size=3)
    first, again, other = (weights(trained(defence, data(), key)) for key in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_card_is_the_default_recipe() -> None:
    assert make("defence", "standard", {}) == Standard()
