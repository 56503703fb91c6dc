"""The convolutional part of VGG16, compared with torchvision's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import vgg16_bn

from invspec.layers.factory import PlainLayers
from invspec.layers.vgg import DEPTHS, DOWNSAMPLING, VGG, features
from invspec.ops.types import Shape


class Narrow(VGG):
    """The convolutions alone."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return features(PlainLayers(), shape[0], self.widths)


def test_the_layers_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        ours, theirs = features(PlainLayers(), 3, (64, 128, 256, 512, 512)), vgg16_bn().features
    ours = [layer for layer in ours if not isinstance(layer, nn.ReLU)]
    theirs = [layer for layer in theirs.children() if not isinstance(layer, nn.ReLU)]
    assert [repr(layer) for layer in ours] == [repr(layer) for layer in theirs]


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 33, 70)])
def test_the_predicted_size_is_that_of_the_last_map(shape: Shape) -> None:
    vgg = Narrow(widths=(1, 2, 3, 4, 5))
    maps = vgg.build(shape, 10).eval()(torch.rand(2, *shape))
    assert maps.shape == (2, 5, *vgg.pooled(shape))


@pytest.mark.parametrize("shape", [(3, 31, 32), (3, 32, 31)])
def test_images_of_which_nothing_is_left_are_refused(shape: Shape) -> None:
    found = f"{shape[1]}x{shape[2]}"
    with pytest.raises(ValueError, match=f"Narrow needs images of at least 32x32, found {found}"):
        Narrow().pooled(shape)


def test_the_image_shrinks_by_2_for_each_block() -> None:
    assert DOWNSAMPLING == 2 ** len(DEPTHS) == 32


def test_only_the_first_convolution_reads_an_image() -> None:
    layers = PlainLayers(4)
    convolutions = [
        layer for layer in features(layers, 3, (1, 1, 1, 1, 1)) if isinstance(layer, nn.Conv2d)
    ]
    assert [conv.in_channels for conv in convolutions] == [3] + [4] * 12
