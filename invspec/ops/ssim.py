"""Structural similarity of images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Side and standard deviation of the Gaussian window in pixels, and the constants of Wang et al.
WINDOW, DEVIATION, K1, K2 = 11, 1.5, 0.01, 0.03


def ssim(x: Tensor, other: Tensor) -> Tensor:
    """Structural similarity (B,) of images in [0, 1], both (B, C, H, W) (Wang et al. 2004).

    The mean over all channels and all positions where the 11 x 11 Gaussian window fits; for smaller
    images the window is cropped. It is 1 for equal images.

    >>> ssim(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8))
    tensor([9.9990e-05])
    """
    mean, mean_other = _blurred(x), _blurred(other)
    variance, variance_other = _blurred(x * x) - mean**2, _blurred(other * other) - mean_other**2
    covariance = _blurred(x * other) - mean * mean_other
    luminance = (2 * mean * mean_other + K1**2) / (mean**2 + mean_other**2 + K1**2)
    structure = (2 * covariance + K2**2) / (variance + variance_other + K2**2)
    return (luminance * structure).flatten(1).mean(1)


def _blurred(x: Tensor) -> Tensor:
    """Weighted means over the window, (B, C, H, W) to (B, C, H', W')."""
    channels, (height, width) = x.shape[1], (min(WINDOW, side) for side in x.shape[2:])
    kernel = _gaussian(height, x)[:, None] * _gaussian(width, x)
    return F.conv2d(x, kernel.expand(channels, 1, -1, -1), groups=channels)


def _gaussian(length: int, like: Tensor) -> Tensor:
    place = torch.arange(length, dtype=like.dtype, device=like.device) - (length - 1) / 2
    weights = torch.exp(-0.5 * (place / DEVIATION) ** 2)
    return weights / weights.sum()
