"""A first layer that whitens patches."""

from __future__ import annotations

import pytest
import torch

from invspec.kinds import Calibrated
from invspec.layers.whitening import PatchWhitening, second_moment


def images(n: int = 64, channels: int = 3) -> torch.Tensor:
    """Neighbouring pixels are alike, and channels have different sizes."""
    x = torch.randn(n, channels, 10, 10, generator=torch.Generator().manual_seed(0))
    x = x + x.roll(1, 2) + x.roll(1, 3)
    return x * torch.arange(1, channels + 1).view(-1, 1, 1)


def test_the_second_moment_is_the_mean_over_all_patches() -> None:
    x = images(3, channels=2)
    patches = [
        x[n, :, i : i + 2, j : j + 2].flatten().double()
        for n in range(3)
        for i in range(9)
        for j in range(9)
    ]
    expected = sum(torch.outer(patch, patch) for patch in patches) / len(patches)
    torch.testing.assert_close(second_moment(x, 2), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_calibrated_it_makes_the_second_moment_of_its_images_the_identity(channels: int) -> None:
    layer, x = PatchWhitening(channels, 2), images(channels=channels)
    layer.calibrate(x)
    torch.nn.init.zeros_(layer.bias)
    half = 4 * channels
    components = layer(x)[:, :half].transpose(0, 1).flatten(1).double()
    moment = components @ components.T / components.shape[1]
    # the least variance is above 0.1, to which the ridge adds less than 1 %
    torch.testing.assert_close(moment, torch.eye(half).double(), atol=0.01, rtol=0)


def test_its_second_half_is_minus_the_first_and_large_components_come_first() -> None:
    layer, x = PatchWhitening(3, 2), images()
    layer.calibrate(x)
    first, second = layer.weight.chunk(2)
    assert second.equal(-first)
    # the filters are orthogonal directions divided by standard deviations
    sizes = first.flatten(1).norm(dim=1)
    assert (sizes.diff() > 0).all()


def test_images_of_one_colour_give_finite_weights() -> None:
    layer = PatchWhitening(1, 2)
    layer.calibrate(torch.full((4, 1, 5, 5), 0.5))
    assert layer.weight.isfinite().all()


def test_no_optimiser_sees_the_weights_and_the_state_dict_holds_them() -> None:
    layer = PatchWhitening(1, 2)
    assert isinstance(layer, Calibrated)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert set(layer.state_dict()) == {"weight", "bias"}
