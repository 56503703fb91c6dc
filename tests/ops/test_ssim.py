"""SSIM against closed forms and its formula written out."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.ops.ssim import ssim


def images(n: int = 6, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_ssim_of_flat_images_is_its_luminance_term() -> None:
    a, b = 0.2, 0.7
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    flat = torch.ones(2, 3, 20, 16)
    torch.testing.assert_close(
        ssim(a * flat, b * flat), torch.full((2,), expected), rtol=1e-3, atol=0
    )


def test_ssim_of_an_image_is_1_with_itself_and_negative_with_its_negative() -> None:
    x = images(4, side=16)
    torch.testing.assert_close(ssim(x, x), torch.ones(4))
    assert ssim(x, 1 - x).max() < 0


def test_ssim_equals_its_formula() -> None:
    x, other = images(1, 1, 11).double(), images(1, 1, 11, seed=1).double()
    at = torch.arange(11, dtype=torch.float64) - 5
    kernel = torch.exp(-(at[:, None] ** 2 + at**2) / 4.5)
    kernel /= kernel.sum()
    a, b = x[0, 0], other[0, 0]
    mean_a, mean_b = (kernel * a).sum(), (kernel * b).sum()
    var_a, var_b = (kernel * (a - mean_a) ** 2).sum(), (kernel * (b - mean_b) ** 2).sum()
    cov = (kernel * (a - mean_a) * (b - mean_b)).sum()
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    torch.testing.assert_close(ssim(x, other)[0], expected)
