"""Z2CNN: shapes, parameters and the images that it takes."""

import pytest
from outputs import change, fresh, lived, parameters, shapes
from rotated_digits import MNIST, SIZES, images
from torch import nn

from invspec.layers.pooling import SpatialMax
from invspec.models.z2cnn import Z2CNN


def test_seven_convolutions_leave_one_position_of_28_by_28_images() -> None:
    kinds = (nn.Conv2d, nn.MaxPool2d, SpatialMax)
    expected = [(20, size, size) for size in SIZES[:-1]] + [(10, 1, 1), (10,)]
    expected.insert(2, (20, 12, 12))
    assert shapes(fresh(Z2CNN(), MNIST), images(), *kinds) == expected


def test_parameters_are_those_of_the_layers() -> None:
    """Per pair of channels 9, and 16 in the last layer; two per channel of each batch norm."""
    expected = (9 * 20 + 20) + 5 * (9 * 20 * 20 + 20) + (16 * 20 * 10 + 10) + 6 * 2 * 20
    assert parameters(fresh(Z2CNN(), MNIST)) == expected == 21_750


def test_quarter_turns_change_the_logits_of_z2cnn() -> None:
    assert change(lived(fresh(Z2CNN(), MNIST), images()), images(), 1) > 0.1


def test_dropout_follows_all_layers_except_the_pooled_one_and_the_last() -> None:
    dropouts = [
        layer.p for layer in fresh(Z2CNN(), MNIST).modules() if isinstance(layer, nn.Dropout)
    ]
    assert dropouts == [0.3] * 5


def test_images_that_do_not_fit_are_refused() -> None:
    assert Z2CNN().sketch((1, 29, 29), 10)
    with pytest.raises(ValueError, match="seven convolutions need 28x28 or more, found 26x28"):
        Z2CNN().sketch((1, 26, 28), 10)
