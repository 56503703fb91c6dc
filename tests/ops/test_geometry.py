from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate as torchvision_rotate

from invspec.ops.geometry import Fill, Interpolation, rotate, transform

BOTH: tuple[Interpolation, ...] = ("bilinear", "nearest")
FILLS: tuple[Fill, ...] = ("zero", "reflect")
STILL = torch.tensor([0.0])


def images(n: int, height: int = 28, width: int = 28) -> Tensor:
    return torch.rand(n, 2, height, width, generator=torch.Generator().manual_seed(0))


def translate(
    x: Tensor,
    dx: Tensor,
    dy: Tensor,
    interpolation: Interpolation = "bilinear",
    fill: Fill = "zero",
) -> Tensor:
    return transform(x, torch.zeros_like(dx), dx, dy, interpolation, fill)


@pytest.mark.parametrize("interpolation", BOTH)
def test_quarter_turns_move_pixels_without_changing_their_values(
    interpolation: Interpolation,
) -> None:
    x = images(8)
    degrees = torch.tensor([0.0, 90.0, 180.0, 270.0, -90.0, 360.0, -180.0, 450.0])
    turned = rotate(x, degrees, interpolation)
    for image, result, quarters in zip(x, turned, (0, 1, 2, 3, 3, 0, 2, 1), strict=True):
        assert torch.equal(result, torch.rot90(image, quarters, (1, 2)))


@pytest.mark.parametrize("interpolation", BOTH)
def test_resampling_agrees_with_the_exact_quarter_turn_next_to_it(
    interpolation: Interpolation,
) -> None:
    """A thousandth of a degree moves no point by more than 1e-3 of a pixel."""
    x = images(1)
    near, exact = rotate(x, torch.tensor([90.001]), interpolation), rotate(x, torch.tensor([90.0]))
    torch.testing.assert_close(near, exact, rtol=0, atol=2e-3)


def test_rectangular_images_turn_exactly_by_half_turns_and_keep_their_aspect() -> None:
    x = images(1, 9, 15)
    assert torch.equal(rotate(x, torch.tensor([180.0])), x.flip(2, 3))
    quarter = rotate(x, torch.tensor([90.0]), "nearest")
    assert torch.equal(quarter[..., 3:12], torch.rot90(x[..., 3:12], 1, (2, 3)))
    assert not quarter[..., :3].any()


@pytest.mark.parametrize("angle", [-137.0, -30.0, 12.5, 45.0, 100.0])
def test_nearest_neighbours_agree_with_pillow(angle: float) -> None:
    """Up to ties: a point half-way between two pixels may round either way."""
    x = images(1)[:, :1]
    pixels = (x[0, 0] * 255).byte()
    expected = torch.from_numpy(np.asarray(Image.fromarray(pixels.numpy()).rotate(angle)).copy())
    turned = rotate(pixels[None, None].float(), torch.tensor([angle]), "nearest")[0, 0]
    assert (turned == expected).float().mean() > 0.99


@pytest.mark.parametrize("interpolation", BOTH)
def test_every_image_turns_by_its_own_angle_as_it_would_alone(
    interpolation: Interpolation,
) -> None:
    x, degrees = images(5), torch.tensor([-170.3, -5.0, 0.0, 33.3, 90.0])
    together = rotate(x, degrees, interpolation)
    for i in range(5):
        assert torch.equal(
            together[i : i + 1], rotate(x[i : i + 1], degrees[i : i + 1], interpolation)
        )


def test_bilinear_resampling_agrees_with_torchvision() -> None:
    x = images(1)
    expected = torchvision_rotate(x, 33.0, InterpolationMode.BILINEAR)
    torch.testing.assert_close(rotate(x, torch.tensor([33.0])), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("interpolation", BOTH)
def test_corners_from_outside_are_black_or_mirrored(interpolation: Interpolation) -> None:
    x = torch.full((1, 1, 9, 9), 0.5)
    black, mirrored = (rotate(x, torch.tensor([45.0]), interpolation, fill) for fill in FILLS)
    assert black[0, 0, 0, 0] == 0
    assert black[0, 0, 4, 4] == 0.5
    torch.testing.assert_close(mirrored, x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("interpolation", BOTH)
def test_reflection_mirrors_at_the_outer_side_of_the_edge_pixels(
    interpolation: Interpolation,
) -> None:
    """It equals rotating the image among its eight mirror images and cutting it out."""
    x, degrees = images(1, 12, 12), torch.tensor([25.0])
    tiled = torch.cat([x.flip(2), x, x.flip(2)], dim=2)
    tiled = torch.cat([tiled.flip(3), tiled, tiled.flip(3)], dim=3)
    expected = rotate(tiled, degrees, interpolation)[:, :, 12:24, 12:24]
    torch.testing.assert_close(
        rotate(x, degrees, interpolation, "reflect"), expected, rtol=0, atol=2e-5
    )


def test_whole_pixels_move_without_changing_their_values() -> None:
    x = images(2, 5, 6)
    moved = translate(x, torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 0.0]))
    assert torch.equal(moved[0, :, :4, 2:], x[0, :, 1:, :4])
    assert not moved[0, :, 4:].any()
    assert not moved[0, :, :, :2].any()
    assert torch.equal(moved[1], x[1])


def test_whole_pixels_from_outside_are_mirrored() -> None:
    moved = translate(
        torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([2.0]), STILL, fill="reflect"
    )
    assert moved.flatten().tolist() == [1, 0, 0, 1]
    far = translate(torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([-9.0]), STILL, fill="reflect")
    assert far.flatten().tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("interpolation", BOTH)
def test_a_resampled_shift_agrees_with_the_exact_one_next_to_it(
    interpolation: Interpolation, fill: Fill
) -> None:
    x, dx, dy = images(1, 9, 15), torch.tensor([-3.0]), torch.tensor([2.0])
    near, exact = (translate(x, dx + far, dy + far, interpolation, fill) for far in (1e-4, 0))
    torch.testing.assert_close(near, exact, rtol=0, atol=5e-4)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    moved = translate(torch.tensor([[[[0.0, 1.0, 0.5]]]]), torch.tensor([0.5]), STILL)
    torch.testing.assert_close(moved.flatten(), torch.tensor([0.0, 0.5, 0.75]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("interpolation", BOTH)
def test_a_transform_rotates_before_it_translates(interpolation: Interpolation) -> None:
    """Enough black padding keeps all of the image inside between the two."""
    x = F.pad(images(6), (16, 16, 16, 16))
    degrees = torch.tensor([-30.0, 12.0, 90.0, 0.0, 7.5, 181.0])
    dx, dy = (
        torch.tensor([3.0, -2.0, 1.0, 0.0, -3.0, 0.0]),
        torch.tensor([-1.0, 0.0, 3.0, 2.0, 3.0, 0.0]),
    )
    in_two_steps = translate(rotate(x, degrees, interpolation), dx, dy)
    together = transform(x, degrees, dx, dy, interpolation)
    alike = (together - in_two_steps).abs() < 2e-4
    # nearest: ties may round either way
    assert alike.float().mean() > (0.9999 if interpolation == "bilinear" else 0.999)


def test_a_transform_keeps_pixels_that_leave_by_rotation_and_return_by_translation() -> None:
    x = torch.zeros(1, 1, 9, 9)
    x[..., 0, 0] = 1
    # the corner turns upwards
    degrees, dx, dy = torch.tensor([-45.0]), torch.tensor([0.0]), torch.tensor([2.0])
    assert not translate(rotate(x, degrees), dx, dy).any()
    assert transform(x, degrees, dx, dy).any()


def test_the_identity_and_quarter_turns_with_whole_pixels_are_exact() -> None:
    x, shift = images(2), torch.tensor([0.0, 2.0])
    moved = transform(x, torch.tensor([0.0, 90.0]), shift, -shift)
    assert torch.equal(moved[0], x[0])
    assert torch.equal(moved[1, :, :26, 2:], torch.rot90(x[1], 1, (1, 2))[:, 2:, :26])


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("height", "width", "period"), [(6, 6, 90), (5, 8, 180)])
def test_exact_motions_turn_and_then_cut_from_the_padded_image(
    height: int, width: int, period: int, fill: Fill
) -> None:
    motions = [
        (float(degrees), dx, dy)
        for degrees in range(-360, 361, period)
        for dx, dy in ((0, 0), (2, -1), (-3, 4))
    ]
    x = images(len(motions), height, width)
    degrees, dx, dy = torch.tensor(motions).unbind(1)
    for image, moved, (turn, right, below) in zip(
        x, transform(x, degrees, dx, dy, fill=fill), motions, strict=True
    ):
        turned = torch.rot90(image, int(turn // 90), (1, 2)).numpy()
        mode = "constant" if fill == "zero" else "symmetric"
        padded = np.pad(turned, ((0, 0), (4, 4), (4, 4)), mode=mode)
        expected = padded[:, 4 - below :, 4 - right :][:, :height, :width]
        assert np.array_equal(moved.numpy(), expected)


def test_a_batch_may_be_empty() -> None:
    assert rotate(images(0), torch.zeros(0)).shape == (0, 2, 28, 28)


def test_moved_images_are_contiguous_as_their_source_is() -> None:
    x, degrees = images(3), torch.tensor([0.0, 90.0, 12.0])
    for part in (degrees[:2], degrees[2:], degrees):
        assert rotate(x[: len(part)], part).is_contiguous()


def test_gradients_pass_through_a_rotation() -> None:
    x = images(2).requires_grad_()
    (gradient,) = torch.autograd.grad(rotate(x, torch.tensor([90.0, 20.0])).sum(), x)
    assert torch.equal(gradient[0], torch.ones_like(x[0]))
    assert gradient[1].any()
