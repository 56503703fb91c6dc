"""Random changes of training images: ranges, order, and no draws for what is switched off."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from recipes import images
from torch import Tensor, nn

from invspec.ops.draws import Stream
from invspec.ops.geometry import rotate
from invspec.registry.methods import make
from invspec.training.augmentation import (
    Augmentation,
    contrasted,
    dequantised,
    enlarged,
    mirrored,
    shifted,
)


def augmented(fields: dict[str, Any], rng: Stream | None = None) -> Tensor:
    return Augmentation(**fields).augment(images(), rng or Stream("key")).x


def test_a_shift_moves_whole_images_and_pads_with_zeros() -> None:
    x = torch.arange(1.0, 13).view(1, 1, 3, 4).expand(200, 1, 3, 4)
    moved = shifted(x, 1, Stream("key"))
    padded = nn.functional.pad(x[:1], [1] * 4)
    shifts = ((i, j) for i in range(3) for j in range(3))
    windows = [padded[0, 0, i : i + 3, j : j + 4] for i, j in shifts]
    expected = {tuple(window.flatten().tolist()) for window in windows}
    assert {tuple(image.flatten().tolist()) for image in moved} == expected


def test_half_of_the_images_are_mirrored() -> None:
    x = torch.rand(400, 2, 2, 3)
    flipped = (mirrored(x, Stream("key")) == x.flip(3)).flatten(1).all(1)
    assert 0.4 < flipped.float().mean() < 0.6
    assert torch.equal(mirrored(x, Stream("key"))[~flipped], x[~flipped])


def test_contrast_scales_each_image_about_its_mean() -> None:
    x = 0.4 + 0.2 * torch.rand(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    changed = contrasted(x, 0.5, (0.0, 1.0), Stream("key"))
    factor = changed.flatten(1).std(1) / x.flatten(1).std(1)
    torch.testing.assert_close(changed.mean((1, 2, 3)), x.mean((1, 2, 3)))
    assert 0.5 <= factor.min() < 0.52
    assert 1.48 < factor.max() <= 1.5 + 1e-5


# ─ enlarged boxes ─────────────────────────────────────────────────────────────────────────────────


def boxes(shares: tuple[float, float], n: int = 500, side: int = 64) -> Any:
    """Size and centre of the boxes that `enlarged` cuts, (n,) each, as shares of a side.

    The images hold their own coordinates.
    """
    centres = (torch.arange(side) + 0.5) / side
    grid = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)])
    cut = enlarged(grid.expand(n, 2, side, side), shares, Stream("key")).double()
    across, down = cut[:, 0, 0], cut[:, 1, :, 0]
    middle = side // 2
    slopes = [(line[:, middle + 1] - line[:, middle]) * side for line in (across, down)]
    middles = [(line[:, middle - 1] + line[:, middle]) / 2 for line in (across, down)]
    # all rows are alike: boxes are upright
    torch.testing.assert_close(cut[:, 0], across[:, None].expand(n, side, side), atol=1e-5, rtol=0)
    return slopes, middles


def test_enlarged_boxes_have_the_areas_shapes_and_positions_of_the_recipe() -> None:
    (width, height), (across, down) = boxes((0.08, 1.0))
    area, aspect = width * height, width / height
    cut_off = (width > 0.999) | (height > 0.999)  # a side was cut to the image's
    assert 0.08 - 1e-4 < area.min() < 0.1
    assert 0.9 < area.max() <= 1 + 1e-4
    assert 0.75 - 1e-3 < aspect[~cut_off].min() < 0.77
    assert 1.3 < aspect[~cut_off].max() < 4 / 3 + 1e-3
    # its standard error is 0.17 / sqrt(350) = 0.009
    assert abs(aspect[~cut_off].log().mean()) < 0.03
    for middle, size in ((across, width), (down, height)):
        assert (middle - size / 2).min() > -1e-4
        assert (middle + size / 2).max() < 1 + 1e-4
    corner = (across - width / 2)[~cut_off] / (1 - width[~cut_off])
    # uniform: its standard error is 0.29 / sqrt(350) = 0.016
    assert abs(corner.mean() - 0.5) < 0.06


def test_an_enlarged_box_of_full_area_is_at_least_three_quarters_of_each_side() -> None:
    (width, height), _ = boxes((1.0, 1.0))
    assert torch.maximum(width, height).sub(1).abs().max() < 1e-4
    assert torch.minimum(width, height).min() > 3**0.5 / 2 - 1e-3


@pytest.mark.parametrize("shares", [(0, 1), (0.5, 1.1), (0.9, 0.1)])
def test_the_area_of_a_box_is_a_range_of_shares(shares: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="resized_crop"):
        Augmentation(resized_crop=shares)


# ─ rotations ──────────────────────────────────────────────────────────────────────────────────────


def test_each_image_has_its_own_angle_within_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Tensor, dict[str, Any]]] = []

    def watched(x: Tensor, degrees: Tensor, **options: Any) -> Tensor:
        calls.append((degrees, options))
        return rotate(x, degrees, **options)

    monkeypatch.setattr("invspec.training.augmentation.rotate", watched)
    augmentation = Augmentation(max_degrees=30, interpolation="nearest", fill="reflect")
    assert augmentation.augment(images(1000), Stream("key")).x.shape == (1000, 1, 8, 8)
    ((degrees, options),) = calls
    assert options == {"interpolation": "nearest", "fill": "reflect"}
    assert degrees.unique().numel() > 990
    assert -30 <= degrees.min() < -28
    assert 28 < degrees.max() <= 30
    assert abs(degrees.mean()) < 2  # its standard error is 17 / sqrt(1000) = 0.55


def test_angles_are_drawn_anew_each_time() -> None:
    recipe: Any = make("defence", "rotation_augmentation", {})
    rng = Stream("key")
    first, second = (recipe.augment(images(), rng) for _ in range(2))
    assert not torch.equal(first.x, second.x)
    assert torch.equal(first.y, images().y)


# ─ order and draws ────────────────────────────────────────────────────────────────────────────────


def test_changes_that_are_switched_off_draw_nothing() -> None:
    rng, untouched = Stream("key"), Stream("key")
    assert torch.equal(augmented({}, rng), images().x)
    assert torch.equal(rng.uniform((3,)), untouched.uniform((3,)))


def test_images_are_enlarged_before_anything_else() -> None:
    rng = Stream("key")
    expected = mirrored(shifted(enlarged(images().x, (0.5, 1.0), rng), 1, rng), rng)
    assert torch.equal(augmented({"resized_crop": (0.5, 1), "crop": 1, "flip": True}), expected)


def test_images_are_shifted_then_mirrored_then_rotated() -> None:
    rng = Stream("key")
    expected = mirrored(shifted(images().x, 2, rng), rng)
    expected = rotate(expected, 90 * (2 * rng.uniform((64,)) - 1))
    assert torch.equal(augmented({"crop": 2, "flip": True, "max_degrees": 90}), expected)


def test_images_are_dequantised_last() -> None:
    rng = Stream("key")
    expected = contrasted(shifted(images().x, 2, rng), 0.3, (0.0, 1.0), rng)
    expected = dequantised(expected, rng)
    assert torch.equal(augmented({"crop": 2, "contrast": 0.3, "dequantise": True}), expected)


def test_dequantised_levels_fill_the_gaps_between_them() -> None:
    x = torch.tensor([0.0, 100 / 255, 1.0]).view(3, 1, 1, 1).expand(3, 1, 100, 100)
    filled = dequantised(x, Stream("key"))
    level = torch.tensor([0, 100, 255]).view(3, 1, 1, 1)
    assert torch.equal((256 * filled).floor(), level.expand_as(filled).float())
    within = (256 * filled - level).flatten(1)
    # its standard error is 0.003
    assert torch.allclose(within.mean(1), torch.tensor(0.5), atol=0.02)
    assert torch.allclose(within.var(1), torch.tensor(1 / 12), atol=0.005)
