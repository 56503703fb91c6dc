"""P4CNN: shapes, parameters and symmetry."""

import pytest
from outputs import change, fresh, lived, parameters, shapes
from rotated_digits import MNIST, SIZES, images
from torch import nn

from invspec.equivariant.group_conv import GroupConv, GroupMax
from invspec.layers.pooling import SpatialMax
from invspec.models.p4cnn import P4CNN


def test_seven_convolutions_leave_one_position_of_28_by_28_images() -> None:
    kinds = (nn.Conv2d, GroupConv, nn.MaxPool2d, GroupMax, SpatialMax)
    p4 = [(40, size, size) for size in SIZES[:-1]] + [(40, 1, 1), (10, 1, 1), (10,)]
    p4.insert(2, (40, 12, 12))
    assert shapes(fresh(P4CNN(), MNIST), images(), *kinds) == p4


def test_parameters_are_those_of_the_layers() -> None:
    """Per pair of fields e2cnn's 9, 38 and 72 kernels, not 9, 36 and 64."""
    p4 = (9 * 10 + 10) + 5 * (38 * 10 * 10 + 10) + (72 * 10 * 10 + 10) + 6 * 2 * 10
    assert parameters(fresh(P4CNN(), MNIST)) == p4 == 26_480


@pytest.mark.parametrize("shape", [MNIST, (1, 30, 30), (1, 28, 34)])
def test_a_half_turn_changes_no_logit(shape: tuple[int, int, int]) -> None:
    net = lived(fresh(P4CNN(), shape), images(shape))
    assert change(net, images(shape), 2) < 1e-5


@pytest.mark.parametrize("quarters", [1, 3])
@pytest.mark.parametrize("shape", [MNIST, (1, 30, 30), (3, 32, 32)])
def test_quarter_turns_change_no_logit_even_though_the_last_kernel_has_even_size(
    shape: tuple[int, int, int], quarters: int
) -> None:
    net = lived(fresh(P4CNN(), shape), images(shape))
    assert change(net, images(shape), quarters) < 1e-5
    assert change(P4CNN().deploy(net), images(shape), quarters) < 1e-5


def test_dropout_follows_all_layers_except_the_pooled_one_and_the_last() -> None:
    dropouts = [
        layer.p for layer in fresh(P4CNN(), MNIST).modules() if isinstance(layer, nn.Dropout)
    ]
    assert dropouts == [0.0] * 5


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError, match="P4CNN needs an even height and width to be invariant, found 29x29"
    ):
        P4CNN().sketch((1, 29, 29), 10)
    with pytest.raises(ValueError, match="seven convolutions need 28x28 or more, found 26x28"):
        P4CNN().sketch((1, 26, 28), 10)
