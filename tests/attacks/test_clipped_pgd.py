"""PGD in standardised units whose clipping comes last, as in the authors' code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.clipped_pgd import ClippedPGD
from invspec.data import Batch
from invspec.layers.standardise import Standardise, StandardisedNet
from invspec.models.mlp import MLP
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import PerExample

MEAN, STD = 0.25, 0.5


class Linear(nn.Module):
    """Two classes: the logit of class 1 is w z, and 0 is that of class 0."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, z: Tensor) -> Tensor:
        logit = z.flatten(1) @ self.weights
        return torch.stack([torch.zeros_like(logit), logit], dim=1)


def net(weights: Tensor) -> StandardisedNet:
    return StandardisedNet(Standardise((MEAN,), (STD,), 1), Linear(weights))


def batch(z: Tensor, label: int = 0) -> Batch:
    """Images of these standardised pixels (N, D)."""
    x = (z * STD + MEAN).view(len(z), 1, 1, -1)
    return Batch(x, torch.full((len(z),), label), torch.arange(len(z)))


def attacked(attack: ClippedPGD, z: Tensor, weights: Tensor) -> Tensor:
    """The attacked images in standardised units (N, D)."""
    examples = batch(z)
    x_adv = attack.perturb(net(weights), examples, PerExample("task", examples.index)).x_adv
    return (x_adv.flatten(1) - MEAN) / STD


WEIGHTS = torch.tensor([1.0, -1.0, 0.0])


def test_enough_steps_reach_the_optimum_of_a_linear_net_within_the_clip() -> None:
    z = torch.tensor([[0.1, 0.2, -0.3]])
    found = attacked(ClippedPGD(eps=0.4, steps=50, step_size=0.02), z, WEIGHTS)
    assert found[0, :2].tolist() == pytest.approx([0.5, -0.2], abs=1e-5)


def test_bright_pixels_are_cut_to_1_however_small_eps_is() -> None:
    z = torch.tensor([[1.4, 1.2, 0.3]])
    found = attacked(ClippedPGD(eps=1e-6), z, WEIGHTS)
    assert found.flatten().tolist() == pytest.approx([1, 1, 0.3], abs=1e-5)


def test_dark_pixels_may_fall_below_0_of_the_pixel_range() -> None:
    z = torch.tensor([[-0.5, -0.5, -0.5]])  # black
    attack = ClippedPGD(eps=0.4, steps=50, step_size=0.02)
    assert attack.leaves_bounds
    assert attacked(attack, z, WEIGHTS)[0, 1].item() == pytest.approx(-0.9, abs=1e-5)


def test_a_fixed_step_moves_by_no_more_than_all_steps_from_its_random_start() -> None:
    z = torch.zeros(500, 3)
    attack = ClippedPGD(eps=0.9)
    moved = attacked(attack, z, WEIGHTS)
    assert (moved[:, 0] >= -0.9 + 20 / 255 - 1e-5).all()
    # the start is uniform in [-0.9, 0.9], whatever the net
    assert moved[:, 0].mean().item() == pytest.approx(20 / 255, abs=4 * 0.9 / math.sqrt(3 * 500))
    assert moved[:, 2].abs().max().item() == pytest.approx(0.9, abs=0.01)


def test_eps_0_returns_x() -> None:
    examples = batch(torch.tensor([[1.4, 1.2, 0.3]]))
    result = ClippedPGD(eps=0).perturb(net(WEIGHTS), examples, PerExample("t", examples.index))
    assert torch.equal(result.x_adv, examples.x)


def test_it_needs_a_net_that_gives_its_mean() -> None:
    needed = ClippedPGD().accepts
    assert isinstance(StdCNN().sketch((1, 28, 28), 10), needed)
    assert not isinstance(MLP().sketch((1, 28, 28), 10), needed)
