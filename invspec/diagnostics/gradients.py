"""Logits and gradients of a few images, also of nets that cut the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from invspec.memory import BLOCK
from invspec.ops.losses import margin
from invspec.search.gradients import Objective, forward, logits_of

# pixels that pass through a net at once: large images go in parts, to bound memory
AT_ONCE = 2**20


def parts(x: Tensor) -> Iterator[slice]:
    """Slices of images x (B, C, H, W) that fit into memory."""
    count = max(AT_ONCE // math.prod(x.shape[1:]) // BLOCK, 1) * BLOCK
    yield from (slice(start, start + count) for start in range(0, len(x), count))


def logits_at(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (B, K) of images x (B, C, H, W), without a graph."""
    return torch.cat([logits_of(model, x[part]) for part in parts(x)])


def margins(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of y, (B,)."""
    return margin(logits_at(model, x), y)


def margins_and_slopes(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The margins (B,) and their gradient (B, C, H, W), 0 where the graph is cut."""
    logits, slopes = logits_and_slopes(model, margin, x, y)
    return margin(logits, y), slopes


def logits_and_slopes(
    model: nn.Module, objective: Objective, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and the gradient (B, C, H, W) of an objective, 0 where the graph is cut."""
    pieces = [_logits_and_slope(model, objective, x[part], y[part]) for part in parts(x)]
    logits, slopes = zip(*pieces, strict=True)
    return torch.cat(logits), torch.cat(slopes)


def _logits_and_slope(
    model: nn.Module, objective: Objective, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    leaf, logits, total = forward(model, objective, x, y)
    if not total.requires_grad:
        return logits.detach(), torch.zeros_like(x)
    slope = cast(Tensor | None, torch.autograd.grad(total, leaf, allow_unused=True)[0])
    return logits.detach(), torch.zeros_like(x) if slope is None else slope
