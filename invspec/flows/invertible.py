"""Layers that can be undone. Each maps x to (y, log_det) and, by `inverse`, y back to x.

log_det (B,) is the log of the Jacobian's absolute determinant in nats, in float32 or better. What runs along the backbone
stays in the precision of the images under autocast too: only the networks inside of couplings, which are never undone,
compute in bfloat16 then.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.ops.types import Shape

Norm = Literal["actnorm", "batch_norm", "none"]


WithLogDet = tuple[Tensor, Tensor]


SLACK = 1e-6  # added to the deviation that actnorm divides by, as Glow does


LEAST = -8.0  # of the number whose sigmoid scales an affine coupling: no scale is below sigmoid(LEAST + 2) = 0.0025


class Invertible(nn.Module):
    """A bijection x -> (y, log_det (B,))."""

    @abstractmethod
    def forward(self, x: Tensor) -> WithLogDet: ...

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor: ...

    def replay(self, y: Tensor) -> tuple[tuple[Tensor, ...], WithLogDet]:
        """Parts of x, in the order of their channels, that are leaves of a graph; and what forward makes of them.

        In place of one inverse and one forward pass a layer may do both at once.
        """
        with torch.no_grad():
            x = self.inverse(y)
        x.requires_grad_()
        return (x,), self(x)


class Rescale(Invertible):
    """x -> factor * x + offset, with the same two numbers everywhere."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: Tensor) -> WithLogDet:
        return self.factor * x + self.offset, unchanged(x) + x[0].numel() * math.log(
            abs(self.factor)
        )

    def inverse(self, y: Tensor) -> Tensor:
        return (y - self.offset) / self.factor


class Flatten(Invertible):
    """(B, C, H, W) -> (B, D)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> WithLogDet:
        return x.flatten(1), unchanged(x)

    def inverse(self, y: Tensor) -> Tensor:
        return y.unflatten(1, self.shape)


class Squeeze(Invertible):
    """(B, C, H, W) -> (B, 4 C, H / 2, W / 2): the four pixels of a 2 x 2 square become channels, C outermost."""

    def forward(self, x: Tensor) -> WithLogDet:
        return F.pixel_unshuffle(x, 2), unchanged(x)

    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(y, 2)


class ChannelReversal(Invertible):
    """Channels in reverse order: (B, C, ...). The halves of a coupling change places, too."""

    def forward(self, x: Tensor) -> WithLogDet:
        return x.flip(1), unchanged(x)

    def inverse(self, y: Tensor) -> Tensor:
        return y.flip(1)


class ActNorm(Invertible):
    """(x + bias) * exp(log_scale) per channel; the first batch in training mode comes out with mean 0, deviation 1.

    Whether that batch has come is a buffer, so that a saved net keeps what it learnt.
    """

    initialised: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias, self.log_scale = (
            nn.Parameter(torch.zeros(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.register_buffer("initialised", torch.tensor(False))
        self.track_running_stats = (
            True  # what batch norm calls the switch that `statistics_kept` turns
        )

    @property
    def waiting(self) -> bool:
        """Whether the next batch decides bias and log_scale."""
        learning = self.training and self.track_running_stats and not self.initialised.is_meta
        return learning and not self.initialised

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Take bias and log_scale from a batch (B, C, H, W)."""
        deviation, mean = torch.std_mean(x.to(at_least_float32(x)), dim=(0, 2, 3), correction=0)
        self.bias.copy_(-mean)
        self.log_scale.copy_(-(deviation + SLACK).log())
        self.initialised.fill_(True)

    def folded(self) -> tuple[Tensor, Tensor]:
        """scale and shift (C,) with y = scale * x + shift."""
        scale = self.log_scale.exp()
        return scale, self.bias * scale

    def forward(self, x: Tensor) -> WithLogDet:
        if self.waiting:
            self.initialise(x)
        scale, shift = (each.view(-1, 1, 1) for each in self.folded())
        log_scale = self.log_scale.to(at_least_float32(x))
        return torch.addcmul(shift, x, scale), unchanged(x) + x[0, 0].numel() * log_scale.sum()

    def inverse(self, y: Tensor) -> Tensor:
        return y * (-self.log_scale).exp().view(-1, 1, 1) - self.bias.view(-1, 1, 1)


class Invertible1x1(Invertible):
    """A matrix W (C, C) on the channels of every pixel; orthogonal at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        if not self.weight.is_meta:
            with torch.no_grad():
                self.weight.copy_(torch.linalg.qr(torch.randn(channels, channels)).Q)

    def forward(self, x: Tensor) -> WithLogDet:
        log_det = torch.linalg.slogdet(self.weight.to(at_least_float32(x))).logabsdet
        return _mixed(x, self.weight), unchanged(x) + x[0, 0].numel() * log_det

    def inverse(self, y: Tensor) -> Tensor:
        return _mixed(
            y, torch.linalg.inv(self.weight.to(at_least_float32(y))).to(self.weight.dtype)
        )


class Coupling(Invertible):
    """(a, b) -> (a, f(b)), of the two halves of the channels; what f is, net finds in a.

    Undoing asks net the same question, so that it need not be invertible. In training mode batch norm inside of it
    answers by the batch, so that only the very batch can be undone; in eval mode, any code.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @abstractmethod
    def change(self, b: Tensor, found: Tensor) -> WithLogDet:
        """f(b) and the log-determinant (B,), given what net found in a."""

    @abstractmethod
    def undo(self, changed: Tensor, found: Tensor) -> Tensor:
        """b, given f(b)."""

    def forward(self, x: Tensor) -> WithLogDet:
        a, b = halves(x)
        changed, log_det = self.change(b, self.net(a))
        return torch.cat([a, changed], dim=1), log_det

    def inverse(self, y: Tensor) -> Tensor:
        a, changed = halves(y)
        with statistics_kept(self.net):
            return torch.cat([a, self.undo(changed, self.net(a))], dim=1)

    def replay(self, y: Tensor) -> tuple[tuple[Tensor, ...], WithLogDet]:
        a, changed = halves(y.detach())
        a.requires_grad_()
        with statistics_kept(self.net):
            found = self.net(a)
        b = self.undo(changed, found.detach()).requires_grad_()
        again, log_det = self.change(b, found)
        return (a, b), (torch.cat([a, again], dim=1), log_det)


class AdditiveCoupling(Coupling):
    """(a, b) -> (a, b + t(a)), where net maps a to t."""

    def change(self, b: Tensor, found: Tensor) -> WithLogDet:
        return b + found, unchanged(b)

    def undo(self, changed: Tensor, found: Tensor) -> Tensor:
        return changed - found


class AffineCoupling(Coupling):
    """(a, b) -> (a, (b + t(a)) s(a)), where net maps a to t and then, along the channels, h.

    s = sigmoid(max(h, LEAST) + 2); the bound keeps codes that no image has from overflowing when they are undone.
    """

    def change(self, b: Tensor, found: Tensor) -> WithLogDet:
        t, log_scale = self._read(found, b)
        return (b + t) * log_scale.exp().to(b.dtype), log_scale.flatten(1).sum(1)

    def undo(self, changed: Tensor, found: Tensor) -> Tensor:
        t, log_scale = self._read(found, changed)
        return changed / log_scale.exp().to(changed.dtype) - t

    def _read(self, found: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
        t, h = found.chunk(2, dim=1)
        return t, F.logsigmoid(h.to(at_least_float32(beside)).clamp_min(LEAST) + 2)


class DCT(Invertible):
    """The orthonormal two-dimensional DCT-II of every map (B, C, H, W)."""

    def forward(self, x: Tensor) -> WithLogDet:
        return self._transformed(x, dct_matrix(x.shape[-2]), dct_matrix(x.shape[-1])), unchanged(x)

    def inverse(self, y: Tensor) -> Tensor:
        return self._transformed(y, dct_matrix(y.shape[-2]).T, dct_matrix(y.shape[-1]).T)

    def _transformed(self, x: Tensor, down: Tensor, across: Tensor) -> Tensor:
        with as_precise_as_given(x):
            return down.to(x) @ x @ across.to(x).T


@lru_cache
def dct_matrix(n: int) -> Tensor:
    """Orthonormal DCT-II, (n, n) float64 on the CPU: row k is the k-th cosine, row 0 is constant, 1 / sqrt(n)."""
    place = torch.arange(n, dtype=torch.float64, device="cpu")
    matrix = torch.cos(math.pi / n * (place + 0.5) * place[:, None]) * math.sqrt(2 / n)
    matrix[0] = 1 / math.sqrt(n)
    return matrix


# ─ networks inside of couplings ───────────────────────────────────────────────────────────────────────────────────────


class NormedConv(nn.Module):
    """A convolution that keeps the size, and its norm. Actnorm is multiplied into the weights, so that it is free."""

    def __init__(self, fan_in: int, fan_out: int, size: int, norm: Norm) -> None:
        super().__init__()
        self.padding = size // 2
        self.conv = nn.Conv2d(fan_in, fan_out, size, padding=self.padding, bias=norm == "none")
        nn.init.kaiming_normal_(self.conv.weight)
        kinds = {"actnorm": ActNorm, "batch_norm": nn.BatchNorm2d, "none": lambda _: nn.Identity()}
        self.norm: nn.Module = kinds[norm](fan_out)

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(self.norm, ActNorm):
            return self.norm(self.conv(x))
        if self.norm.waiting:
            self.norm.initialise(self.conv(x))
        scale, shift = self.norm.folded()
        return F.conv2d(x, self.conv.weight * scale.view(-1, 1, 1, 1), shift, padding=self.padding)


class ScaledConv(nn.Module):
    """A 3 x 3 convolution times exp(3 log_scale) per channel; all 0, so that a coupling starts as the identity."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.zeros(fan_out, fan_in, 3, 3)),
            nn.Parameter(torch.zeros(fan_out)),
        )
        self.log_scale = nn.Parameter(torch.zeros(fan_out))

    def forward(self, x: Tensor) -> Tensor:
        scale = (3 * self.log_scale).exp()
        return F.conv2d(x, self.weight * scale.view(-1, 1, 1, 1), self.bias * scale, padding=1)


def coupling_net(fan_in: int, width: int, fan_out: int, norm: Norm) -> nn.Sequential:
    """Convolutions 3 x 3, 1 x 1, 3 x 3, the first two with their norm and ReLU."""
    first, second = NormedConv(fan_in, width, 3, norm), NormedConv(width, width, 1, norm)
    return nn.Sequential(
        first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), ScaledConv(width, fan_out)
    )


# ─ what layers share ──────────────────────────────────────────────────────────────────────────────────────────────────


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half of the channels; of an odd number, the second has one more."""
    first = x.shape[1] // 2
    return x[:, :first], x[:, first:]


def unchanged(x: Tensor) -> Tensor:
    """The log-determinant (B,) of what changes no volume: zeros."""
    return torch.zeros(len(x), dtype=at_least_float32(x), device=x.device)


def at_least_float32(x: Tensor) -> torch.dtype:
    """The precision of logarithms of determinants beside x."""
    return torch.promote_types(x.dtype, torch.float32)


def as_precise_as_given(x: Tensor) -> AbstractContextManager[object]:
    """No autocast within."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


@contextmanager
def statistics_kept(net: nn.Module) -> Generator[None]:
    """Norms in training mode learn nothing from batches within, which others have seen before; they still use them."""
    norms = (each for each in net.modules() if isinstance(each, nn.BatchNorm2d | ActNorm))
    counting = [each for each in norms if each.track_running_stats]
    try:
        for each in counting:
            each.track_running_stats = False
        yield
    finally:
        for each in counting:
            each.track_running_stats = True


def _mixed(x: Tensor, weight: Tensor) -> Tensor:
    """The matrix (C, C) on the channels of every pixel."""
    with as_precise_as_given(x):
        return F.conv2d(x, weight.view(*weight.shape, 1, 1))
