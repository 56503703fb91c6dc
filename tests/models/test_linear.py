import torch

from invspec.kinds import Standardised
from invspec.models.linear import Linear


def test_logits_are_affine_in_the_pixels() -> None:
    net = Linear().build((2, 3, 4), 5)
    weight, bias = net.parameters()
    x = torch.rand(6, 2, 3, 4)
    torch.testing.assert_close(net(x), x.flatten(1) @ weight.T + bias)


def test_it_reads_unstandardised_pixels() -> None:
    assert not isinstance(Linear().build((1, 2, 2), 2), Standardised)
