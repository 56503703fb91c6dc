import pytest
import torch
from torch import nn

from invspec.models.lenet import LeNet


def test_it_has_the_parameters_of_the_challenge() -> None:
    net = LeNet().build((1, 28, 28), 10)
    assert sum(weight.numel() for weight in net.parameters()) == 3_274_634


def test_weights_start_within_two_deviations_and_biases_at_a_tenth() -> None:
    torch.manual_seed(0)
    layers = [
        layer
        for layer in LeNet().build((1, 28, 28), 10)
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    assert len(layers) == 4
    for layer in layers:
        assert layer.weight.abs().max() <= 0.2
        assert layer.bias.unique().tolist() == pytest.approx([0.1])
    # A normal distribution truncated at two deviations keeps 0.880 of its deviation.
    assert layers[2].weight.std().item() == pytest.approx(0.088, abs=0.0005)


def test_it_accepts_images_of_odd_size_and_refuses_tiny_ones() -> None:
    net = LeNet(widths=(2, 3), hidden=5).build((3, 7, 9), 4)
    assert net(torch.zeros(2, 3, 7, 9)).shape == (2, 4)
    with pytest.raises(ValueError, match="LeNet needs images of at least 4x4, found 3x28"):
        LeNet().build((1, 3, 28), 10)


def test_initialisation_torch_is_torchs_own() -> None:
    torch.manual_seed(0)
    given = LeNet(initialisation="torch").build((1, 28, 28), 10)
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(1, 32, 5),
        nn.Conv2d(32, 64, 5),
        nn.Linear(64 * 49, 1024),
        nn.Linear(1024, 10),
    )
    for layer, own in zip(
        layers, [one for one in given if isinstance(one, nn.Conv2d | nn.Linear)], strict=True
    ):
        assert torch.equal(layer.weight, own.weight)
        assert layer.bias is not None
        assert own.bias is not None
        assert torch.equal(layer.bias, own.bias)
