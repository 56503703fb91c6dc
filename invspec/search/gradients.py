"""Logits and input gradients, without touching the weights' `.grad`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from invspec.errors import InvspecError

# logits (B, K) and y (B,) to the values to maximise, (B,)
Objective = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (B, K) without a graph."""
    return model(x)


def input_gradient(model: nn.Module, objective: Objective, x: Tensor, y: Tensor) -> Tensor:
    """Gradient (B, C, H, W) of each example's own objective at x."""
    leaf, _, total = forward(model, objective, x, y)
    return gradient_of(total, leaf)


def logits_and_gradient(
    model: nn.Module, objective: Objective, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and the gradient (B, C, H, W) of each example's own objective, in one pass."""
    leaf, logits, total = forward(model, objective, x, y)
    return logits.detach(), gradient_of(total, leaf)


def forward(
    model: nn.Module, objective: Objective, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A leaf at x, the logits (B, K) there, and the sum of the examples' objectives, a number."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(leaf)
        # a sum: a mean would scale an example's gradient with the batch size
        return leaf, logits, objective(logits, y).sum()


def gradient_of(total: Tensor, x: Tensor, *, keep_graph: bool = False) -> Tensor:
    """Gradient (B, C, H, W) of a number at x.

    Raises: InvspecError if the net has cut the graph between them.
    """
    if not total.requires_grad:
        raise InvspecError(
            "the net has no gradient at its images: autograd finds no way from them to the logits",
            hint="look for detach, no_grad, numpy or rounding in its forward, or take an attack "
            "that uses no gradients, such as square",
        )
    return torch.autograd.grad(total, x, retain_graph=keep_graph)[0]


def likeliest_others(logits: Tensor, y: Tensor, count: int) -> Tensor:
    """The classes other than y with the largest logits, largest first: (B, min(count, K - 1))."""
    others = logits.scatter(1, y.unsqueeze(1), -torch.inf)
    # stable: among equal logits the order must not depend on the device
    ranked = others.argsort(dim=1, descending=True, stable=True)
    return ranked[:, : min(count, logits.shape[1] - 1)]


def lead_of(target: Tensor) -> Objective:
    """The objective that is the logit of target (B,) minus that of the label."""
    return lambda logits, y: (
        logits.gather(1, target.unsqueeze(1)) - logits.gather(1, y.unsqueeze(1))
    ).squeeze(1)
