"""Coupling layers, and the networks inside them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.flows.invertible import (
    Invertible,
    WithLogDet,
    at_least_float32,
    halves,
    zero_log_det,
)
from invspec.flows.layers import ActNorm
from invspec.ops.types import Shape

InnerNorm = Literal["actnorm", "batch_norm", "none"]

# Lower bound of h, whose sigmoid scales an affine coupling: no scale is below
# sigmoid(MIN_H + 2) = 0.0025.
MIN_H = -8.0


class Coupling(Invertible):
    """(a, b) -> (a, f(b)) for the two halves of the channels; the network of a sets f.

    Inverting it evaluates the same network, which therefore need not be invertible. In training
    mode, batch norm inside the network uses batch statistics, so only the same batch can be
    inverted; in eval mode any code can.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @abstractmethod
    def change(self, b: Tensor, params: Tensor) -> WithLogDet:
        """f(b) and the log-determinant (B,), given params = net(a)."""

    @abstractmethod
    def undo(self, changed: Tensor, params: Tensor) -> Tensor:
        """b, given f(b) and params = net(a)."""

    def forward(self, x: Tensor) -> WithLogDet:
        a, b = halves(x)
        changed, log_det = self.change(b, self.net(a))
        return torch.cat([a, changed], dim=1), log_det

    def inverse(self, y: Tensor) -> Tensor:
        a, changed = halves(y)
        with frozen_statistics(self.net):
            return torch.cat([a, self.undo(changed, self.net(a))], dim=1)

    def replay(self, y: Tensor) -> tuple[tuple[Tensor, ...], WithLogDet]:
        a, changed = halves(y.detach())
        a.requires_grad_()
        with frozen_statistics(self.net):
            params = self.net(a)
        # b is a leaf: only `change` below has a graph, and it uses the params of the one pass above
        b = self.undo(changed, params.detach()).requires_grad_()
        changed, log_det = self.change(b, params)
        return (a, b), (torch.cat([a, changed], dim=1), log_det)


class AdditiveCoupling(Coupling):
    """(a, b) -> (a, b + t(a)), where net maps a to t."""

    def change(self, b: Tensor, params: Tensor) -> WithLogDet:
        return b + params, zero_log_det(b)

    def undo(self, changed: Tensor, params: Tensor) -> Tensor:
        return changed - params


class AffineCoupling(Coupling):
    """(a, b) -> (a, (b + t(a)) s(a)), where net maps a to t and h, stacked along the channels.

    s = sigmoid(max(h, MIN_H) + 2). The bound keeps the inverse from overflowing on codes that no
    image has.
    """

    def change(self, b: Tensor, params: Tensor) -> WithLogDet:
        t, log_scale = self._shift_and_log_scale(params, b)
        return (b + t) * log_scale.exp().to(b.dtype), log_scale.flatten(1).sum(1)

    def undo(self, changed: Tensor, params: Tensor) -> Tensor:
        t, log_scale = self._shift_and_log_scale(params, changed)
        return changed / log_scale.exp().to(changed.dtype) - t

    def _shift_and_log_scale(self, params: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """t, and log s in the precision of log-determinants that belong to `like`."""
        t, h = params.chunk(2, dim=1)
        # + 2, as in Glow: with h = 0 at the start, s is 0.88 and not one half
        return t, F.logsigmoid(h.to(at_least_float32(like)).clamp_min(MIN_H) + 2)


def halvable(shape: Shape) -> Shape:
    """The shape itself. Raises ValueError if the number of channels is odd."""
    if shape[0] % 2:
        raise ValueError(
            f"couplings need an even number of channels, found {shape[0]}: squeeze the input"
        )
    return shape


@contextmanager
def frozen_statistics(net: nn.Module) -> Generator[None]:
    """Stop the norms of a net from updating on a batch that they have seen before.

    In training mode they still normalise by the batch.
    """
    norms = (layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d | ActNorm))
    tracking = [norm for norm in norms if norm.track_running_stats]
    try:
        for norm in tracking:
            norm.track_running_stats = False
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True


class NormedConv(nn.Module):
    """A convolution that keeps the size, and its norm.

    Actnorm is multiplied into the weights, so that it costs nothing.
    """

    def __init__(self, fan_in: int, fan_out: int, size: int, norm: InnerNorm) -> None:
        super().__init__()
        self.padding = size // 2
        # a norm has its own shift
        self.conv = nn.Conv2d(fan_in, fan_out, size, padding=self.padding, bias=norm == "none")
        nn.init.kaiming_normal_(self.conv.weight)
        makers = {"actnorm": ActNorm, "batch_norm": nn.BatchNorm2d, "none": lambda _: nn.Identity()}
        self.norm: nn.Module = makers[norm](fan_out)

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(self.norm, ActNorm):
            return self.norm(self.conv(x))
        if self.norm.waiting:
            self.norm.initialise(self.conv(x))
        scale, shift = self.norm.scale_and_shift()
        return F.conv2d(x, self.conv.weight * scale.view(-1, 1, 1, 1), shift, padding=self.padding)


class ScaledConv(nn.Module):
    """A 3 x 3 convolution times exp(3 log_scale) per channel.

    It starts at zero, so that a coupling starts as the identity.
    """

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(fan_out, fan_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        self.log_scale = nn.Parameter(torch.zeros(fan_out))

    def forward(self, x: Tensor) -> Tensor:
        # 3, as in Glow: log_scale learns three times as fast
        scale = (3 * self.log_scale).exp()
        return F.conv2d(x, self.weight * scale.view(-1, 1, 1, 1), self.bias * scale, padding=1)


def coupling_net(fan_in: int, width: int, fan_out: int, norm: InnerNorm) -> nn.Sequential:
    """Convolutions of 3 x 3, 1 x 1 and 3 x 3, with a norm and ReLU after the first two."""
    first, second = NormedConv(fan_in, width, 3, norm), NormedConv(width, width, 1, norm)
    last = ScaledConv(width, fan_out)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), last)
