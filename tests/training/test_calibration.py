"""Layers that are computed from the training images."""

from __future__ import annotations

import pytest
import torch
from recipes import Recording, Resumed, grey, points, trained
from torch import Tensor, nn

from invspec.defences.standard import Standard
from invspec.training.calibration import IMAGES, calibrate


class Centring(nn.Module):
    """Subtracts the mean of what it was calibrated on."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.seen = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean

    def calibrate(self, x: Tensor) -> None:
        self.seen = x
        self.mean.fill_(x.mean())


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_a_layer_sees_what_it_reads_after_those_before_it_were_calibrated() -> None:
    first, second = Centring(), Centring()
    calibrate(nn.Sequential(first, Doubling(), second), points(10))
    (batch,) = points(10).batches(10)
    assert torch.equal(first.seen, batch.x)
    assert first.mean.item() == pytest.approx(0.45)
    assert torch.equal(second.seen, 2 * (batch.x - first.mean))
    # what is centred already has mean 0
    assert second.mean.item() == pytest.approx(0, abs=1e-6)


def test_it_sees_the_first_images_only() -> None:
    layer = Centring()
    calibrate(nn.Sequential(layer), points(IMAGES + 88))
    assert len(layer.seen) == IMAGES


def test_it_changes_neither_the_mode_nor_running_statistics_and_leaves_no_hook() -> None:
    norm, layer = nn.BatchNorm2d(1), Centring()
    net = nn.Sequential(norm, layer).train()
    calibrate(net, grey())
    assert net.training
    assert norm.num_batches_tracked == 0
    assert not layer._forward_pre_hooks


def test_every_training_calibrates_and_a_resumed_one_keeps_its_weights() -> None:
    def net(layer: Centring) -> nn.Sequential:
        return nn.Sequential(layer, nn.Flatten(), nn.Linear(1, 2))

    first, again, journal = Centring(), Centring(), Recording()
    trained(Standard(epochs=1), points(10), net(first), journal)
    assert first.mean.item() == pytest.approx(0.45)
    state = journal.states[0]
    state["model"]["0.mean"].fill_(7.0)
    trained(Standard(epochs=1), points(10), net(again), Resumed(state))
    assert again.mean.item() == 7.0
