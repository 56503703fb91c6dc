import pytest
import torch
from outputs import parameters, shapes
from torch import Tensor, nn

from invspec.models.stdcnn import StdCNN


def test_it_has_the_layers_of_table_1() -> None:
    net = StdCNN().build((1, 28, 28), 10)
    expected = [(10, 26, 26), (10, 24, 24), (10, 12, 12), (20, 10, 10), (20, 8, 8), (20, 4, 4)]
    assert shapes(net, torch.zeros(1, 1, 28, 28), nn.Conv2d, nn.MaxPool2d) == expected
    assert parameters(net) == 23_010


def test_the_smallest_image_leaves_one_position() -> None:
    net = StdCNN().build((3, 16, 18), 4)
    assert net(torch.zeros(2, 3, 16, 18)).shape == (2, 4)
    with pytest.raises(ValueError, match="StdCNN needs images of at least 16x16, found 15x16"):
        StdCNN().build((1, 15, 16), 4)


def test_it_drops_units_in_training_only() -> None:
    net, x = StdCNN().build((1, 16, 16), 4), torch.rand(2, 1, 16, 16)
    assert not net(x).equal(net(x))
    assert net.eval()(x).equal(net(x))


def test_a_black_pixel_becomes_minus_mean_over_deviation() -> None:
    net = StdCNN().build((1, 16, 16), 4)
    seen: list[Tensor] = []
    first = next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
    first.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    net(torch.zeros(1, 1, 16, 16))
    assert seen[0].unique().tolist() == pytest.approx([-0.1307 / 0.3081])
