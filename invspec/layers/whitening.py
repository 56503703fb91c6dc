"""A first convolution that whitens patches of the images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# added to the variances, as in airbench: directions of little variance are noise
RIDGE = 5e-4


class PatchWhitening(nn.Module):
    """Size x size patches in the basis of their principal components, each with both signs.

    x (B, C, H, W) to (B, 2 C size^2, H - size + 1, W - size + 1); a bias is learned. The weights
    are a buffer, which no optimiser changes: `calibrate` sets them, and before that they are
    random. Implements kinds.Calibrated.
    """

    weight: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        fresh = nn.Conv2d(channels, 2 * channels * size**2, size)
        self.register_buffer("weight", fresh.weight.detach())
        self.bias = nn.Parameter(fresh.bias.detach())  # pyright: ignore[reportOptionalMemberAccess]  # Conv2d has one by default

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Whiten the patches of images x (N, C, H, W): their second moment becomes the identity.

        A component is divided by the square root of its eigenvalue plus RIDGE. The components of
        the largest eigenvalues come first; the second half of the channels is minus the first.
        """
        # on the CPU in float64, so that every device gets the same weights
        values, vectors = torch.linalg.eigh(second_moment(x.cpu(), self.weight.shape[-1]))
        scaled = (vectors / (values.clamp_min(0) + RIDGE).sqrt()).flip(1).T
        signed = torch.cat([scaled, -scaled]).view(self.weight.shape)
        self.weight.copy_(signed.to(self.weight))


def second_moment(x: Tensor, size: int) -> Tensor:
    """The mean of p p^T over all patches p of x (N, C, H, W): (C size^2, C size^2), float64."""
    patches = x.double().unfold(2, size, 1).unfold(3, size, 1).transpose(1, 3)
    flat = patches.reshape(-1, x.shape[1] * size**2)
    return flat.T @ flat / len(flat)
