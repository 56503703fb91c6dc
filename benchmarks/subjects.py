"""The nets, images and helpers that the benchmarks share."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.data import Batch
from invspec.datasets.torchvision_images import TorchvisionImages

ADVERSARIAL, PROVABLE = "alpha-beta-CROWN/mnist_cnn_a_adv.model", "convex_adversarial/mnist.pth"


def has_data() -> bool:
    """Whether INVSPEC_DATA names a folder with MNIST and checkpoints."""
    return "INVSPEC_DATA" in os.environ


def mnist_test(n: int) -> Batch:
    """The first n test images."""
    return next(TorchvisionImages(source="mnist", val=5000).load("test").head(n).batches(n))


def published(checkpoint: str) -> nn.Module:
    """One of the small MNIST nets that papers on verification share: two convolutions, two linear layers."""
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    path = Path(os.environ["INVSPEC_DATA"]) / "checkpoints" / checkpoint
    net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return frozen(net)


def frozen(net: nn.Module) -> nn.Module:
    """As a trained net is handed to attacks."""
    return net.eval().requires_grad_(False)


def robust_accuracy(net: nn.Module, x_adv: Tensor, y: Tensor) -> float:
    """Share of attacked images (B, C, H, W) that net still classifies as y (B,)."""
    with torch.no_grad():
        return float((net(x_adv).argmax(1) == y).float().mean())


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))


def resnet18() -> nn.Module:
    """The ResNet-18 usual on CIFAR-10: a 3 x 3 stem, four pairs of blocks of 64 to 512 channels, no max-pooling."""
    widths, strides = (64, 64, 64, 128, 128, 256, 256, 512, 512), (1, 1, 2, 1, 2, 1, 2, 1)
    blocks = [BasicBlock(*block) for block in zip(widths[:-1], widths[1:], strides, strict=True)]
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *blocks),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)),
    )
