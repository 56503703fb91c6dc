"""Nets, images and helpers shared by the benchmarks."""

from __future__ import annotations

import os
from typing import cast

import torch
from torch import Tensor, nn

from invspec.data import Batch, Journal, TensorSplit
from invspec.datasets.torchvision_images import TorchvisionImages
from invspec.defences.standard import Standard
from invspec.kinds import Defence
from invspec.models.lenet import LeNet
from invspec.models.resnet import ResNet18
from invspec.models.small_conv import SmallConv
from invspec.ops.draws import Stream
from invspec.registry.methods import make

ADVERSARIAL, PROVABLE = "mnist_cnn_a_adv", "convex_adversarial_mnist"


def has_data() -> bool:
    """Whether INVSPEC_DATA is set; it must name a folder with MNIST and checkpoints."""
    return "INVSPEC_DATA" in os.environ


def mnist_test(n: int) -> Batch:
    """The first n test images."""
    return next(TorchvisionImages(source="mnist", val=5000).load("test").head(n).batches(n))


def published(weights: str) -> nn.Module:
    """The net cnn_a with the published weights of the defence card `weights`."""
    net = SmallConv().build((1, 28, 28), 10)
    defence = cast(Defence, make("defence", weights, {}))
    nothing = TensorSplit(torch.empty(0, 1, 28, 28), torch.empty(0, dtype=torch.int64))
    defence.train(net, nothing, Stream(weights), Journal())
    return frozen(net)


def trained_lenet() -> nn.Module:
    """Madry et al.'s LeNet after one epoch on 20,000 digits."""
    torch.manual_seed(0)
    net = LeNet().build((1, 28, 28), 10)
    defence = Standard(epochs=1, examples=20_000, optimiser="adam", lr=1e-3)
    defence.train(
        net, TorchvisionImages(source="mnist", val=5000).load("train"), Stream("lenet"), Journal()
    )
    return frozen(net)


def frozen(net: nn.Module) -> nn.Module:
    """The net as attacks get it: in eval mode, with weights that need no gradient."""
    return net.eval().requires_grad_(False)


def robust_accuracy(net: nn.Module, x_adv: Tensor, y: Tensor) -> float:
    """Share of attacked images (B, C, H, W) that net still classifies as y (B,)."""
    with torch.no_grad():
        return float((net(x_adv).argmax(1) == y).float().mean())


def resnet18() -> nn.Module:
    """The usual ResNet-18 for CIFAR-10, untrained."""
    return ResNet18().build((3, 32, 32), 10)
