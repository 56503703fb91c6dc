from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate as torchvision_rotate

from invspec.ops.geometry import Interpolation, rotate

BOTH: tuple[Interpolation, ...] = ("bilinear", "nearest")


def images(n: int, height: int = 28, width: int = 28) -> Tensor:
    return torch.rand(n, 2, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("interpolation", BOTH)
def test_quarter_turns_move_pixels_without_changing_their_values(interpolation: Interpolation) -> None:
    x = images(8)
    degrees = torch.tensor([0.0, 90.0, 180.0, 270.0, -90.0, 360.0, -180.0, 450.0])
    turned = rotate(x, degrees, interpolation)
    for image, result, quarters in zip(x, turned, (0, 1, 2, 3, 3, 0, 2, 1), strict=True):
        assert torch.equal(result, torch.rot90(image, quarters, (1, 2)))


@pytest.mark.parametrize("interpolation", BOTH)
def test_resampling_agrees_with_the_exact_quarter_turn_next_to_it(interpolation: Interpolation) -> None:
    """A thousandth of a degree moves no point by more than 1e-3 of a pixel."""
    x = images(1)
    near, exact = rotate(x, torch.tensor([90.001]), interpolation), rotate(x, torch.tensor([90.0]))
    torch.testing.assert_close(near, exact, rtol=0, atol=2e-3)


def test_images_that_are_not_square_turn_by_half_turns_exactly_and_keep_their_aspect() -> None:
    x = images(1, 9, 15)
    assert torch.equal(rotate(x, torch.tensor([180.0])), x.flip(2, 3))
    quarter = rotate(x, torch.tensor([90.0]), "nearest")
    assert torch.equal(quarter[..., 3:12], torch.rot90(x[..., 3:12], 1, (2, 3)))
    assert not quarter[..., :3].any()


@pytest.mark.parametrize("angle", [-137.0, -30.0, 12.5, 45.0, 100.0])
def test_nearest_neighbours_are_those_of_pillow(angle: float) -> None:
    """Up to ties: a point half-way between two pixels may round either way."""
    x = images(1)[:, :1]
    pixels = (x[0, 0] * 255).byte()
    expected = torch.from_numpy(np.asarray(Image.fromarray(pixels.numpy()).rotate(angle)).copy())
    turned = rotate(pixels[None, None].float(), torch.tensor([angle]), "nearest")[0, 0]
    assert (turned == expected).float().mean() > 0.99


@pytest.mark.parametrize("interpolation", BOTH)
def test_every_image_has_its_own_angle_and_turns_as_it_would_alone(interpolation: Interpolation) -> None:
    x, degrees = images(5), torch.tensor([-170.3, -5.0, 0.0, 33.3, 90.0])
    together = rotate(x, degrees, interpolation)
    for i in range(5):
        assert torch.equal(together[i : i + 1], rotate(x[i : i + 1], degrees[i : i + 1], interpolation))


def test_bilinear_resampling_is_torchvisions() -> None:
    x = images(1)
    expected = torchvision_rotate(x, 33.0, InterpolationMode.BILINEAR)
    torch.testing.assert_close(rotate(x, torch.tensor([33.0])), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("interpolation", BOTH)
def test_corners_that_turn_in_have_the_fill_value(interpolation: Interpolation) -> None:
    turned = rotate(torch.full((1, 1, 9, 9), 0.5), torch.tensor([45.0]), interpolation, fill=0.25)
    assert turned[0, 0, 0, 0] == 0.25
    assert turned[0, 0, 4, 4] == 0.5


def test_gradients_pass_through_a_rotation() -> None:
    x = images(2).requires_grad_()
    (gradient,) = torch.autograd.grad(rotate(x, torch.tensor([90.0, 20.0])).sum(), x)
    assert torch.equal(gradient[0], torch.ones_like(x[0]))
    assert gradient[1].any()
