"""The layers of Table 1: channels, the size of the last map, and images that are too small."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from invspec.layers.table_one import KERNEL, MIN_SIDE, TableOne, features
from invspec.ops.types import Shape


class Table(TableOne):
    """Ordinary convolutions and nothing else."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return features(*(nn.Conv2d(*fans, KERNEL) for fans in self.fans(shape[0])))


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 28, 28), (3, 32, 19), (3, 17, 64)])
def test_the_predicted_size_is_that_of_the_last_map(shape: Shape) -> None:
    table = Table(widths=(2, 3))
    maps = table.build(shape, 10)(torch.rand(2, *shape))
    assert maps.shape == (2, 3, *table.pooled(shape))


@pytest.mark.parametrize("shape", [(1, MIN_SIDE - 1, MIN_SIDE), (1, MIN_SIDE, MIN_SIDE - 1)])
def test_images_of_which_nothing_is_left_are_refused(shape: Shape) -> None:
    found = f"{shape[1]}x{shape[2]}"
    with pytest.raises(ValueError, match=f"Table needs images of at least 16x16, found {found}"):
        Table().pooled(shape)
    with pytest.raises(RuntimeError):
        Table().build(shape, 10)(torch.rand(2, *shape))


def test_pooling_follows_the_second_and_fourth_convolution() -> None:
    kinds = [type(layer) for layer in Table().build((1, 28, 28), 10).children()]
    half = [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    assert kinds == half * 2


def test_the_classifier_has_one_hidden_layer_with_dropout() -> None:
    classifier = Table(hidden=7, dropout=0.25).classifier(12, 3)
    first, relu, dropout, last = classifier
    assert (first.in_features, first.out_features, last.out_features) == (12, 7, 3)
    assert isinstance(relu, nn.ReLU)
    assert dropout.p == 0.25
