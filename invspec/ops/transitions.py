"""How the true label of an image fades to a uniform distribution as the perturbation grows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from invspec.ops.norms import size
from invspec.ops.types import Norm

# Perturbations with a smaller linf length count as 0.
UNMOVED = 1e-8
# Lower bound of LPIPS, which is a divisor.
MIN_LPIPS = 1e-6


def power_transition(delta: Tensor, eps: float, rho: float, norm: Norm = "linf") -> Tensor:
    """Weight of the true label, (1 - min(1, ||delta|| / eps)) ** rho: delta (B, ...) to (B,).

    The weight is 1 without a perturbation and 0 from length eps on.

    >>> power_transition(torch.tensor([[0.0], [0.1], [0.3]]), eps=0.2, rho=2.0)
    tensor([1.0000, 0.2500, 0.0000])
    """
    share = size(delta, norm) / max(eps, torch.finfo(delta.dtype).tiny)
    return (1 - share.clamp_max(1)) ** rho


def sigmoid_transition(
    delta: Tensor, lpips: Tensor, max_lpips: float | Tensor, rho: float
) -> Tensor:
    """Weight of the true label, sigmoid(rho ||delta||_inf (max_lpips / LPIPS - 1)).

    delta (B, ...), lpips (B,) to (B,); max_lpips is a number or a tensor (). The weight is 1/2
    where LPIPS equals max_lpips, rises to 1 as LPIPS falls to 0, and falls to
    sigmoid(-rho ||delta||_inf) as LPIPS grows.

    Deviates: without a perturbation the formula gives 1/2; here the weight is 1. LPIPS is clamped
    to at least 1e-6; the authors add 1e-6 to it.

    >>> delta = torch.full((3, 1), 0.03)
    >>> sigmoid_transition(delta, torch.tensor([0.0, 0.03, 3e4]), max_lpips=0.03, rho=100.0)
    tensor([1.0000, 0.5000, 0.0474])
    """
    length = size(delta, "linf")
    weight = torch.sigmoid(rho * length * (max_lpips / lpips.clamp_min(MIN_LPIPS) - 1))
    return weight.where(length >= UNMOVED, 1)


def faded(y: Tensor, weight: Tensor, classes: int) -> Tensor:
    """Soft labels (B, K): weight (B,) on the label y (B,), the rest uniform over all K classes.

    >>> faded(torch.tensor([1]), torch.tensor([0.5]), classes=2)
    tensor([[0.2500, 0.7500]])
    """
    on_label = weight.unsqueeze(1)
    return on_label * F.one_hot(y, classes).to(weight.dtype) + (1 - on_label) / classes
