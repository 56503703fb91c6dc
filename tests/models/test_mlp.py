import torch
from torch import nn

from invspec.models.mlp import MLP


def test_layers_have_the_given_widths():
    net = MLP(hidden=(5, 3)).build((2, 2, 2), 4)
    assert [tuple(layer.weight.shape) for layer in net if isinstance(layer, nn.Linear)] == [
        (5, 8),
        (3, 5),
        (4, 3),
    ]
    assert net(torch.rand(6, 2, 2, 2)).shape == (6, 4)


def test_without_hidden_layers_it_is_affine():
    net = MLP(hidden=()).build((1, 1, 3), 2)
    x, z = torch.rand(2, 4, 1, 1, 3)
    torch.testing.assert_close(net((x + z) / 2), (net(x) + net(z)) / 2)
