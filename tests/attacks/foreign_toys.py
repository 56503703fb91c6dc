"""What the tests of other libraries' attacks share: a small net, its images, and two promises."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import PerExample

CLASSES = 3


def net() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, CLASSES))
    return layers.eval()


class Constant(nn.Module):
    """A net that no attack fools: it gives every image the label 0."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1)[:, :CLASSES] + torch.arange(CLASSES, 0, -1.0)


def batch_of(n: int) -> Batch:
    """Images with the labels that the net gives them."""
    x = 0.25 + 0.5 * torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return Batch(x, net()(x).argmax(1), torch.arange(n))


def unfooled(n: int) -> Batch:
    """The same with the label that `Constant` gives all images."""
    batch = batch_of(n)
    return Batch(batch.x, torch.zeros(n, dtype=torch.int64), batch.index)


def attacked(attack: Attack, batch: Batch, model: nn.Module | None = None) -> Perturbed:
    return attack.perturb(model or net(), batch, PerExample("task", batch.index))


def label(x: Tensor) -> Tensor:
    return net()(x).argmax(1)


def fast_gradient_step(batch: Batch, eps: float) -> Tensor:
    """x and eps times the sign of the gradient of the loss."""
    x = batch.x.clone().requires_grad_()
    nn.functional.cross_entropy(net()(x), batch.y, reduction="sum").backward()
    assert x.grad is not None
    return batch.x + eps * x.grad.sign()


def assert_misclassified_stay(attack: Attack, from_predicted: Attack, batch: Batch) -> None:
    """A misclassified example costs one pass and stays, unless the attack leaves the prediction."""
    n = len(batch)
    wrong = Batch(batch.x, (batch.y + 1) % CLASSES, batch.index)
    result = attacked(attack, wrong)
    assert torch.equal(result.x_adv, wrong.x)
    assert (result.forwards.tolist(), result.backwards.tolist()) == ([1] * n, [0] * n)
    assert torch.equal(attacked(from_predicted, wrong).x_adv, attacked(attack, batch).x_adv)


def assert_draws_are_contained(attack: Attack, batch: Batch, rows: int) -> None:
    """Draws depend on the example and the task alone, and leave the global generators as they were.

    rows: how many examples are attacked at a time the second time.
    """
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    together = attacked(attack, batch).x_adv
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
    torch.manual_seed(6)
    np.random.seed(6)
    parts = torch.arange(len(batch)).split(rows)
    alone = torch.cat([attacked(attack, batch.take(part)).x_adv for part in parts])
    torch.testing.assert_close(alone, together)
    other = attack.perturb(net(), batch, PerExample("another task", batch.index)).x_adv
    assert not torch.equal(other, together)
