"""Common corruptions: what each does to images that can be worked out by hand."""

import numpy as np
import pytest
from numpy.random import RandomState

from invspec.corruptions import blur, digital, noise, weather
from invspec.corruptions.corrupt import FUNCTIONS, corrupted
from invspec.corruptions.images import gray, to_bytes, zoomed
from invspec.corruptions.severities import COMMON, CORRUPTIONS, TABLES

SIDES = {"cifar10_c": 32, "imagenet_c": 64}
# those whose published parameters do not rise one by one
UNEVEN = {"elastic_transform", "glass_blur", "saturate", "snow"}


def draws(seed=0):
    return RandomState(seed)


def picture(side, channels=3):
    """A smooth colour image with an edge."""
    row, column = np.mgrid[:side, :side] / side
    layers = [row, column, (row + column > 0.9) * 0.8, row * column][:channels]
    return np.floor(np.stack(layers, axis=-1) * 255) / 255


def error(image, changed):
    return float(np.sqrt(((changed - image) ** 2).mean()))


# ─ all of them ─


def test_the_tables_have_five_severities_of_every_corruption():
    assert len(COMMON) == 15
    assert {*FUNCTIONS, "frost"} == set(CORRUPTIONS)
    for table in TABLES.values():
        assert list(table) == list(CORRUPTIONS)
        assert {len(severities) for severities in table.values()} == {5}


@pytest.mark.parametrize("benchmark", SIDES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_images_keep_their_shape_have_bytes_as_pixels_and_repeat_with_the_seed(name, benchmark):
    image = picture(SIDES[benchmark])
    results = [corrupted(image, name, 3, benchmark, seed) for seed in (7, 7, 8)]
    assert results[0].shape == image.shape
    np.testing.assert_allclose(results[0] * 255, np.rint(results[0] * 255), atol=1e-9)
    assert ((results[0] >= 0) & (results[0] <= 1)).all()
    np.testing.assert_array_equal(results[0], results[1])
    assert error(image, results[0]) > 0.005
    is_random = "noise" in name or name in ("glass_blur", "motion_blur", "snow", "fog")
    if is_random or name == "elastic_transform":
        assert not np.array_equal(results[0], results[2])
    else:
        np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"saturate"}))
def test_grey_images_that_are_not_square_are_corrupted_too(name):
    image = picture(24, channels=1)[:, :20]
    assert corrupted(image, name, 5, "cifar10_c", 0).shape == (24, 20, 1)


@pytest.mark.parametrize("benchmark", SIDES)
@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - UNEVEN))
def test_higher_severities_change_more(name, benchmark):
    image = picture(SIDES[benchmark])
    errors = [error(image, corrupted(image, name, s, benchmark, 1)) for s in (1, 3, 5)]
    assert errors == sorted(errors)
    assert errors[0] < errors[2]


# ─ one by one ─


def test_noise_has_the_moments_that_its_parameter_gives():
    image = np.full((100, 100, 3), 0.5)
    # 30,000 values: the standard error of a mean is below 0.002
    added = noise.gaussian_noise(image, 0.1, draws()) - image
    assert (added.mean(), added.std()) == (pytest.approx(0, abs=0.01), pytest.approx(0.1, abs=0.01))
    counted = noise.shot_noise(image, 50, draws())
    assert counted.mean() == pytest.approx(0.5, abs=0.01)
    assert counted.std() == pytest.approx((0.5 / 50) ** 0.5, abs=0.01)
    assert noise.speckle_noise(image, 0.2, draws()).std() == pytest.approx(0.1, abs=0.01)
    replaced = noise.impulse_noise(image, 0.3, draws())
    assert [(replaced == value).mean() for value in (0, 0.5, 1)] == pytest.approx(
        [0.15, 0.7, 0.15], abs=0.01
    )


def test_blurs_keep_a_uniform_image_and_the_mean_of_a_point():
    flat = np.full((32, 32, 3), 0.25)
    for name in ("gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur"):
        parameter = TABLES["cifar10_c"][name][4]
        np.testing.assert_allclose(FUNCTIONS[name](flat, parameter, draws()), flat, atol=1e-9)
    point = np.zeros((33, 33, 1))
    point[16, 16] = 1
    for name in ("gaussian_blur", "defocus_blur"):
        blurred = FUNCTIONS[name](point, TABLES["cifar10_c"][name][4], draws())
        assert blurred.sum() == pytest.approx(1)


def test_a_disk_without_smoothing_is_a_disk():
    weights = blur.disk(3, 1e-3)
    assert weights.shape == (17, 17)
    assert (weights > 0).sum() == 29  # points of the lattice within 3 of the origin
    assert weights[8, 8] == pytest.approx(1 / 29)
    assert blur.disk(10, 0.5).shape == (21, 21)


def test_motion_averages_to_one_side_of_each_pixel():
    point = np.zeros((9, 9, 1))
    point[4, 6] = 1
    # a long deviation makes all weights alike: 5 pixels, from the pixel itself to the right
    right = blur.moved(point, (2, 1e6), 0)[..., 0]
    np.testing.assert_allclose(right[4, 2:7], 0.2)
    assert right.sum() == pytest.approx(1)
    down = blur.moved(point, (2, 1e6), 90)[..., 0]
    np.testing.assert_allclose(down[0:5, 6], 0.2)


def test_glass_takes_pixels_from_nearby_and_leaves_a_rim():
    ramp = np.tile(np.arange(32)[:, None, None] / 255, (1, 32, 1))
    # without smoothing; the released code leaves out a rim as wide as the displacement
    moved = np.rint(blur.glass_blur(ramp, (1e-9, 2, 1), draws()) * 255)
    rows = np.tile(np.arange(32)[:, None, None], (1, 32, 1))
    np.testing.assert_array_equal(moved[:3], rows[:3])
    assert (moved != rows)[3:31].any()
    # a pixel may come from one that has moved before, so up to twice as far
    assert np.abs(moved - rows).max() <= 4 + 2


def test_enlarging_shows_the_centre_and_one_changes_nothing():
    image = picture(32)
    np.testing.assert_allclose(zoomed(image, 1.0), image, atol=1e-9)
    ramp = np.tile(np.arange(32.0)[None, :, None], (32, 1, 1))
    # the centre half, stretched; scipy maps ends to ends
    np.testing.assert_allclose(zoomed(ramp, 2.0)[5, [0, -1], 0], [8, 23])


def test_snow_whitens_and_falls_and_fog_scales_to_the_brightest_pixel():
    image = 0.5 * picture(32)
    snowy = weather.snow(image, TABLES["cifar10_c"]["snow"][4], draws())
    assert (snowy >= image - 1e-9).all()
    foggy = weather.fog(image, (1.5, 1.75), draws())
    assert foggy.max() <= image.max() + 1e-9
    assert foggy.std() < image.std()


def test_plasma_is_between_0_and_1_and_smoother_where_it_decays_faster():
    rough, smooth = (weather.plasma(48, decay, draws()) for decay in (1.4, 3))
    assert rough.shape == smooth.shape == (64, 64)
    for heights in (rough, smooth):
        assert (heights.min(), heights.max()) == (0, 1)
    steps = [np.abs(np.diff(heights, axis=0)).mean() for heights in (rough, smooth)]
    assert steps[1] < steps[0]


def test_frost_adds_a_part_of_a_photograph():
    image, photograph = np.full((4, 4, 3), 0.5), np.full((9, 9, 3), 0.4)
    expected = np.full((4, 4, 3), 0.75 * 0.5 + 0.45 * 0.4)
    np.testing.assert_allclose(weather.frost(image, (0.75, 0.45), draws(), photograph), expected)
    result = corrupted(image, "frost", 5, "cifar10_c", 0, (photograph,))
    np.testing.assert_array_equal(result, to_bytes(expected) / 255)


def test_brightness_and_saturation_are_those_of_hsv():
    from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

    image = picture(16)
    hsv = rgb_to_hsv(image)
    brighter = np.stack([hsv[..., 0], hsv[..., 1], np.clip(hsv[..., 2] + 0.2, 0, 1)], axis=-1)
    np.testing.assert_allclose(
        weather.brightness(image, 0.2, draws()), hsv_to_rgb(brighter), atol=1e-9
    )
    for factor, added in ((0.3, 0), (2, 0.1)):
        strength = np.clip(hsv[..., 1] * factor + added, 0, 1)
        stronger = np.stack([hsv[..., 0], strength, hsv[..., 2]], axis=-1)
        np.testing.assert_allclose(
            digital.saturate(image, (factor, added), draws()), hsv_to_rgb(stronger), atol=1e-9
        )


def test_contrast_scales_the_difference_from_the_mean_of_each_channel():
    image = picture(16)
    changed = digital.contrast(image, 0.5, draws())
    np.testing.assert_allclose(changed.mean((0, 1)), image.mean((0, 1)))
    np.testing.assert_allclose(changed.std((0, 1)), 0.5 * image.std((0, 1)))


def test_an_elastic_map_without_reach_changes_nothing():
    image = picture(32)
    np.testing.assert_allclose(
        digital.elastic_transform(image, (0, 0, 0), draws()), image, atol=1e-9
    )
    # a mean over the whole image displaces it as one: a shift below a pixel
    assert error(image, digital.elastic_transform(image, (0.05, 0.2, 0), draws())) < 0.05


def test_pixels_of_a_pixelated_image_are_means_of_boxes():
    image = np.zeros((4, 4, 1))
    image[:2, :2, 0] = [[0, 0.2], [0.4, 0.6]]
    small = digital.pixelate(image, 0.5, draws())
    assert small[:2, :2].ravel() == pytest.approx(np.full(4, 0.3), abs=1 / 255)


def test_gray_is_the_luminance():
    assert gray(np.ones((1, 1, 3))).item() == pytest.approx(1)
    assert gray(np.array([[[0, 1, 0]]])).item() == pytest.approx(0.587)
