"""Embeddings of feature maps, and a model's own features."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from features_toys import convolutional, images
from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.perceptual.features import embedded, own_features


class Functional(nn.Module):
    """The same net with activations called as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = convolutional()

    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, flatten, third, _, fourth = self.layers
        return fourth(third(flatten(F.relu(second(first(x).relu())))).relu_())


def test_the_embedding_distance_follows_its_formula() -> None:
    a, b = torch.tensor([[3.0, 4.0]]).view(1, 2, 1, 1), torch.tensor([[1.0, 0.0]]).view(1, 2, 1, 1)
    maps, others = [a.expand(1, 2, 5, 7), a], [b.expand(1, 2, 5, 7), a]
    found = (embedded(maps) - embedded(others)).norm().item()
    assert found == pytest.approx(((0.6 - 1) ** 2 + 0.8**2) ** 0.5, abs=1e-6)


def test_the_features_of_a_model_are_its_last_maps_of_each_shape() -> None:
    net, x = convolutional(), images()
    first = net[:2](x)
    expected = embedded([first, net[2:4](first)])
    logits, features = own_features(net, x)
    assert torch.equal(logits, net(x))
    torch.testing.assert_close(features, expected)
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.ReLU())
    torch.testing.assert_close(own_features(block, x)[1], embedded([block(x)]))


def test_activations_called_as_functions_count_as_well() -> None:
    x = images()
    torch.testing.assert_close(
        own_features(Functional(), x)[1], own_features(convolutional(), x)[1]
    )


class Listed(nn.Module):
    """A net that lists its feature layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = convolutional()
        self.feature_layers = (self.net[0],)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def test_a_model_may_list_its_feature_layers() -> None:
    net, x = Listed(), images()
    logits, features = own_features(nn.Sequential(net), x)
    assert torch.equal(logits, net(x))
    torch.testing.assert_close(features, embedded([net.net[0](x)]))
    assert not net.net[0]._forward_hooks


class Padded(nn.Module):
    """Pads batches, as invspec.perform does."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, x[-1:].expand(-len(x) % 8, *x.shape[1:])]))[: len(x)]


def test_features_pass_through_a_wrapper_that_pads_batches() -> None:
    net, x = convolutional(), images(5)
    torch.testing.assert_close(own_features(Padded(net), x)[1], own_features(net, x)[1])


class LowPrecision(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(x).float()


def test_features_of_a_low_precision_are_compared_in_float32() -> None:
    net, x = convolutional(), images(5)
    features, exact = own_features(LowPrecision(net), x)[1], own_features(net, x)[1]
    assert features.dtype == torch.float32
    assert (features - exact).norm(dim=1).max() < 0.1  # of 2 sqrt(2) at most; bfloat16 has 8 bits


def test_a_flat_net_is_compared_by_its_flat_activations() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    x = images(4, 3, 2)
    hidden = net[:3](x)
    torch.testing.assert_close(own_features(net, x)[1], F.normalize(hidden, dim=1, eps=1e-10))


def test_a_linear_net_is_refused() -> None:
    with pytest.raises(InvspecError, match="no activations"):
        own_features(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), images(4, 3, 2))
