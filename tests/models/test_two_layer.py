import torch

from invspec.kinds import TwoLayer as TwoLayerProtocol
from invspec.models.two_layer import TwoLayer
from invspec.perform.proxies import Padded


def test_logits_follow_the_formula_in_the_precision_of_the_images():
    net = TwoLayer(hidden=7).build((2, 3, 3), 4)
    w1, b1, w2, b2 = net.hidden_weight, net.hidden_bias, net.output_weight, net.output_bias
    assert [tuple(weight.shape) for weight in (w1, b1, w2, b2)] == [(7, 18), (7,), (4, 7), (4,)]
    x = torch.rand(5, 2, 3, 3, dtype=torch.float64)
    expected = torch.relu(x.flatten(1) @ w1.double().T + b1.double()) @ w2.double().T + b2.double()
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(net(x.float()), expected.float(), rtol=0, atol=1e-5)


def test_its_sketch_and_its_padded_net_implement_two_layer():
    net = TwoLayer(hidden=7).build((1, 3, 3), 4)
    assert isinstance(TwoLayer(hidden=7).sketch((1, 3, 3), 4), TwoLayerProtocol)
    assert Padded(net).hidden_weight is net.hidden_weight
