"""Logits and gradients that are not finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import at_most, counted
from invspec.diagnostics.gradients import logits_and_slopes
from invspec.ops.losses import cross_entropy


def find_broken(model: nn.Module, versions: Sequence[Tensor], y: Tensor, where: str) -> Finding:
    """Fail if logits or gradients of any version (B, C, H, W) of an image are not finite.

    where says in words where the versions are.
    """
    broken = [_is_broken(model, x, y) for x in versions]
    logits, slopes = (torch.stack(flags).any(0) for flags in zip(*broken, strict=True))
    name, flags = ("logits", logits) if logits.any() else ("input gradients", slopes)
    return at_most(
        0.0,
        logits | slopes,
        f"the {name} of {counted(flags)} are NaN or infinite, {where}",
        "look for a division by 0, a log or a root in the net's forward pass",
    )


def _is_broken(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Whether logits and gradients of images x (B, C, H, W) are not finite, (B,) bool each."""
    logits, slopes = logits_and_slopes(model, cross_entropy, x, y)
    return ~logits.isfinite().all(1), ~slopes.isfinite().flatten(1).all(1)
