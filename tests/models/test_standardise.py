import pytest
import torch
from pydantic import ValidationError
from torch import nn

from invspec.kinds import Standardised
from invspec.models.standardise import Standardise, StandardisedNet
from invspec.models.stdcnn import StdCNN


def test_pixels_become_deviations_from_the_mean_in_each_channel() -> None:
    x = torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1)
    result = Standardise((0.5, 0.0), (1.0, 0.25), channels=2)(x)
    assert result.flatten().tolist() == [0.0, 2.0]


def test_one_value_serves_every_channel() -> None:
    assert Standardise((0.5,), (0.25,), channels=3).std.flatten().tolist() == [0.25] * 3


def test_values_that_fit_no_channel_are_refused() -> None:
    with pytest.raises(ValueError, match="std has 2 values, the images have 3 channels"):
        Standardise((0.5,), (0.2, 0.3), channels=3)


def test_a_standardised_net_tells_its_deviation_and_others_do_not() -> None:
    net = StandardisedNet(Standardise((0.5,), (0.25,), channels=3), nn.Flatten())
    assert isinstance(net, Standardised)
    assert net.pixel_std.tolist() == [0.25] * 3
    assert not isinstance(nn.Flatten(), Standardised)


def test_settings_are_in_no_checkpoint_but_move_with_the_net() -> None:
    net = StandardisedNet(Standardise((0.5,), (0.25,), channels=1), nn.Flatten())
    assert not net.state_dict()
    assert net.double().pixel_std.dtype == torch.float64


def test_a_deviation_of_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        StdCNN(std=(0.3, 0.0))
