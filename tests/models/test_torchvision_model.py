"""Nets of torchvision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torchvision import models

from invspec.kinds import Model, Standardised
from invspec.models.torchvision_model import TorchvisionModel
from invspec.registry import methods

RGB = (3, 32, 32)


def test_a_net_is_torchvisions_behind_imagenets_standardisation() -> None:
    torch.manual_seed(0)
    net = TorchvisionModel(arch="squeezenet1_1").build(RGB, 7).eval()
    torch.manual_seed(0)
    theirs = models.squeezenet1_1(num_classes=7).eval()
    x = torch.rand(2, *RGB)
    mean, std = (
        torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    assert net(x).equal(theirs((x - mean) / std))
    assert isinstance(net, Standardised)


SIZES = {
    "inception_v3": 299,
    "vit_b_32": 64,
    "maxvit_t": 224,
    "googlenet": 64,
    "regnet_x_400mf": 32,
    "swin_t": 64,
}


@pytest.mark.parametrize("arch", ["mnasnet0_5", "shufflenet_v2_x0_5", *SIZES])
def test_nets_that_need_special_settings_are_sketched(arch: str) -> None:
    side = SIZES.get(arch, 32)
    net = TorchvisionModel(arch=arch).sketch((3, side, side), 7).eval()
    device = next(net.parameters()).device
    assert net(torch.zeros(2, 3, side, side, device=device)).shape == (2, 7)


@pytest.mark.parametrize(
    ("card", "count"),
    [("vgg19", 143667240), ("resnet18_imagenet", 11689512), ("resnet50_imagenet", 25557032)],
)
def test_the_cards_of_table_1_are_nets_of_the_published_size(card: str, count: int) -> None:
    model = methods.make("model", card, {})
    assert isinstance(model, Model)
    assert sum(weight.numel() for weight in model.sketch((3, 224, 224), 1000).parameters()) == count


def test_a_smoke_run_builds_a_small_net() -> None:
    large = TorchvisionModel(arch="vgg19", mean=(0.4, 0.4, 0.4))
    assert large.smoke() == TorchvisionModel(arch="resnet18", mean=(0.4, 0.4, 0.4))


def test_an_unknown_net_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        ValidationError, match=r"torchvision has no net 'resnet19'; did you mean resnet1"
    ):
        TorchvisionModel(arch="resnet19")


@pytest.mark.parametrize(
    ("arch", "shape", "message"),
    [
        ("resnet18", (1, 28, 28), "needs RGB images, found 1 channels"),
        ("vit_b_16", (3, 32, 48), "needs square images"),
    ],
)
def test_images_that_do_not_fit_a_net_are_refused(arch: str, shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TorchvisionModel(arch=arch).build(shape, 10)
