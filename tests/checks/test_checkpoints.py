"""No published net fails a gating check, in a small ball or a large one."""

from __future__ import annotations

import os
from typing import cast

import pytest
from masks import failing
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Journal, Split
from invspec.kinds import Dataset, Defence, Model
from invspec.ops.draws import Stream
from invspec.registry.methods import make

# defence, its model and data set, and two radii
CHECKPOINTS = {
    "mnist_conv_small_nat": ("conv_small", "mnist", (0.1, 0.3)),
    "mnist_cnn_a_adv": ("cnn_a", "mnist", (0.1, 0.3)),
    "convex_adversarial_mnist": ("cnn_a", "mnist", (0.1, 0.3)),
    "mnist_small_0_3": ("cnn_a", "mnist", (0.1, 0.3)),
    "cifar_marabou_large": ("marabou_large", "cifar10", (2 / 255, 8 / 255)),
    "cifar_cnn_a_adv": ("cnn_a_cifar10", "cifar10", (2 / 255, 8 / 255)),
    "cifar_cnn_a_mix4": ("cnn_a_cifar10", "cifar10", (2 / 255, 8 / 255)),
    "cifar_conv_small_pgd": ("conv_small_cifar10", "cifar10", (2 / 255, 8 / 255)),
    "cifar_wide": ("cnn_a_wide", "cifar10", (2 / 255, 8 / 255)),
    "cifar_resnet2b": ("resnet2b", "cifar10", (2 / 255, 8 / 255)),
}


def published(name: str, count: int = 128) -> tuple[nn.Module, Split]:
    """A net with its weights, and the first test images of its data set."""
    model, data, _ = CHECKPOINTS[name]
    dataset = cast(Dataset, make("dataset", data, {}))
    net = cast(Model, make("model", model, {})).build(dataset.shape, dataset.classes)
    images = dataset.load("test").head(count)
    cast(Defence, make("defence", name, {})).train(net, images, Stream(name), Journal())
    return net.eval().requires_grad_(False), images


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="needs checkpoints")
@pytest.mark.parametrize("attack", [PGD(steps=40), PGD(steps=10), PGD(norm="l2", eps=1.0)], ids=str)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_published_net_fails_no_gating_check(name: str, attack: PGD) -> None:
    net, images = published(name)
    for eps in CHECKPOINTS[name][2] if attack.norm == "linf" else (attack.eps,):
        assert failing(net, attack.model_copy(update={"eps": eps}), images) == set()
