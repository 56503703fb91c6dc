import pytest
import torch
from pydantic import ValidationError
from torch import nn

from invspec.kinds import Centred, Standardised
from invspec.layers.standardise import Standardise, StandardisedNet, StandardisePerImage
from invspec.models.stdcnn import StdCNN


def test_each_channel_is_standardised_by_its_own_values() -> None:
    x = torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1)
    result = Standardise((0.5, 0.0), (1.0, 0.25), channels=2)(x)
    assert result.flatten().tolist() == [0.0, 2.0]


def test_one_value_serves_every_channel() -> None:
    assert Standardise((0.5,), (0.25,), channels=3).std.flatten().tolist() == [0.25] * 3


def test_a_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(
        ValueError, match="std has 2 values, but the images have 3 channels; give 1 or 3"
    ):
        Standardise((0.5,), (0.2, 0.3), channels=3)


def test_only_standardised_nets_have_pixel_mean_and_pixel_std() -> None:
    net = StandardisedNet(Standardise((0.5,), (0.25,), channels=3), nn.Flatten())
    assert isinstance(net, Standardised)
    assert isinstance(net, Centred)
    assert net.pixel_mean.tolist() == [0.5] * 3
    assert net.pixel_std.tolist() == [0.25] * 3
    assert not isinstance(nn.Flatten(), Standardised)


def test_mean_and_std_are_not_in_the_state_dict_but_move_with_the_net() -> None:
    net = StandardisedNet(Standardise((0.5,), (0.25,), channels=1), nn.Flatten())
    assert not net.state_dict()
    assert net.double().pixel_std.dtype == torch.float64


def test_a_deviation_of_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        StdCNN(std=(0.3, 0.0))


def test_an_image_is_standardised_by_its_own_mean_and_deviation() -> None:
    x = (
        torch.tensor([0.2, 0.8]).repeat(6).reshape(1, 3, 2, 2)
    )  # mean 0.5, deviation 0.3, above 1 / sqrt(12)
    torch.testing.assert_close(StandardisePerImage()(torch.cat([x, x / 2]))[0], (x[0] - 0.5) / 0.3)


def test_the_deviation_of_an_image_has_a_floor() -> None:
    faint = torch.tensor([0.0, 0.0, 0.0, 0.01]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(StandardisePerImage()(faint), (faint - 0.0025) / 0.5)
    assert StandardisePerImage()(torch.full((1, 3, 2, 2), 0.7)).abs().max() < 1e-6


def test_gradients_pass_through_an_images_mean_and_deviation() -> None:
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(StandardisePerImage(), x)
    plain = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    StandardisePerImage()(plain)[0, 0, 0, 0].backward()
    assert plain.grad.isfinite().all()
