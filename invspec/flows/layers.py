"""Invertible layers without a network inside."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.flows.invertible import (
    Invertible,
    WithLogDet,
    at_least_float32,
    without_autocast,
    zero_log_det,
)
from invspec.ops.dct import dct_matrix
from invspec.ops.modules import HostFlags
from invspec.ops.types import Shape

# Added to the standard deviation that actnorm divides by, as in Glow.
SLACK = 1e-6


class Rescale(Invertible):
    """x -> factor * x + offset, with the same factor and offset everywhere."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: Tensor) -> WithLogDet:
        log_det = zero_log_det(x) + x[0].numel() * math.log(abs(self.factor))
        return self.factor * x + self.offset, log_det

    def inverse(self, y: Tensor) -> Tensor:
        return (y - self.offset) / self.factor


class Flatten(Invertible):
    """(B, C, H, W) -> (B, D)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> WithLogDet:
        return x.flatten(1), zero_log_det(x)

    def inverse(self, y: Tensor) -> Tensor:
        return y.unflatten(1, self.shape)


class Squeeze(Invertible):
    """(B, C, H, W) -> (B, 4 C, H / 2, W / 2).

    The four pixels of each 2 x 2 square become channels, with the input's channels outermost.
    """

    def forward(self, x: Tensor) -> WithLogDet:
        return F.pixel_unshuffle(x, 2), zero_log_det(x)

    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(y, 2)


def squeezed(shape: Shape) -> Shape:
    """The shape after a squeeze. Raises ValueError if the height or width is odd."""
    channels, height, width = shape
    if height % 2 or width % 2:
        raise ValueError(f"a squeeze needs an even height and width, found {height}x{width}")
    return 4 * channels, height // 2, width // 2


class ChannelReversal(Invertible):
    """Reverse the order of the channels (B, C, ...), which also swaps the halves of a coupling."""

    def forward(self, x: Tensor) -> WithLogDet:
        return x.flip(1), zero_log_det(x)

    def inverse(self, y: Tensor) -> Tensor:
        return y.flip(1)


class ActNorm(HostFlags, Invertible):
    """(x + bias) * exp(log_scale) per channel.

    The first batch in training mode sets both, so that its output has mean 0 and deviation 1.
    `initialised` is a buffer, so that a loaded net is not initialised again.
    """

    host_flags = ("initialised",)
    initialised: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("initialised", torch.tensor(False))
        # Named as in batch norm, so that `frozen_statistics` can switch off both alike.
        self.track_running_stats = True

    @property
    def waiting(self) -> bool:
        """Whether the next batch sets bias and log_scale."""
        learning = self.training and self.track_running_stats and not self.initialised.is_meta
        return learning and not self.initialised

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set bias and log_scale from a batch (B, C, H, W)."""
        # correction 0, so that a batch of one position has deviation 0, not NaN
        deviation, mean = torch.std_mean(x.to(at_least_float32(x)), dim=(0, 2, 3), correction=0)
        self.bias.copy_(-mean)
        self.log_scale.copy_(-(deviation + SLACK).log())
        self.initialised.fill_(True)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """scale and shift (C,) such that y = scale * x + shift."""
        scale = self.log_scale.exp()
        return scale, self.bias * scale

    def forward(self, x: Tensor) -> WithLogDet:
        if self.waiting:
            self.initialise(x)
        scale, shift = (values.view(-1, 1, 1) for values in self.scale_and_shift())
        log_scale = self.log_scale.to(at_least_float32(x))
        # every position of a map scales alike
        log_det = zero_log_det(x) + x[0, 0].numel() * log_scale.sum()
        return torch.addcmul(shift, x, scale), log_det

    def inverse(self, y: Tensor) -> Tensor:
        return y * (-self.log_scale).exp().view(-1, 1, 1) - self.bias.view(-1, 1, 1)


class Invertible1x1(Invertible):
    """A matrix W (C, C) applied to the channels of every pixel; it starts orthogonal."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        # a sketch on the meta device has no numbers to decompose
        if not self.weight.is_meta:
            with torch.no_grad():
                # orthogonal: the log-determinant starts at 0
                self.weight.copy_(torch.linalg.qr(torch.randn(channels, channels)).Q)

    def forward(self, x: Tensor) -> WithLogDet:
        log_det = torch.linalg.slogdet(self.weight.to(at_least_float32(x))).logabsdet
        return _mix_channels(x, self.weight), zero_log_det(x) + x[0, 0].numel() * log_det

    def inverse(self, y: Tensor) -> Tensor:
        # torch does not invert matrices below float32.
        inverse = torch.linalg.inv(self.weight.to(at_least_float32(y)))
        return _mix_channels(y, inverse.to(self.weight.dtype))


def _mix_channels(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix (C, C) to the channels of every pixel."""
    with without_autocast(x):
        return F.conv2d(x, matrix.view(*matrix.shape, 1, 1))


class DCT(Invertible):
    """The orthonormal two-dimensional DCT-II of every map (B, C, H, W)."""

    def forward(self, x: Tensor) -> WithLogDet:
        rows, columns = dct_matrix(x.shape[-2]), dct_matrix(x.shape[-1])
        return self._transformed(x, rows, columns), zero_log_det(x)

    def inverse(self, y: Tensor) -> Tensor:
        return self._transformed(y, dct_matrix(y.shape[-2]).T, dct_matrix(y.shape[-1]).T)

    def _transformed(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        with without_autocast(x):
            return rows.to(x) @ x @ columns.to(x).T
