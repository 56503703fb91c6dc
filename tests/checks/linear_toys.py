"""Linear nets of four pixels, whose distance to the boundary is known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from invspec.data import Bounds, TensorSplit


class Lead(nn.Module):
    """Logits (0, lead of x): the label is 1 where the lead is above 0."""

    def __init__(self, lead: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.lead = lead

    def forward(self, x: Tensor) -> Tensor:
        lead = self.lead(x.flatten(1))
        return torch.stack([torch.zeros_like(lead), lead], dim=1)


def linear(scale: float = 1.0) -> nn.Module:
    """The lead is the mean of the pixels minus 0.5, times scale."""
    return Lead(lambda x: scale * (x.mean(1) - 0.5))


def greys(*values: float, bounds: Bounds = (0.0, 1.0)) -> TensorSplit:
    """Images of four equal pixels, with the labels that `linear` gives them."""
    pixels = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    return TensorSplit(pixels, (torch.tensor(values) > 0.5).long(), bounds=bounds)


def spread(n: int = 16) -> TensorSplit:
    """n greys, none of them nearer than 0.1 to the boundary."""
    dark = torch.linspace(0.1, 0.4, n // 2)
    return greys(*dark.tolist(), *(1 - dark).tolist())


def climbing() -> tuple[nn.Module, list[int]]:
    """The linear net, and the number of images of each of its passes with a gradient."""
    counts: list[int] = []

    def lead(x: Tensor) -> Tensor:
        if x.requires_grad:
            counts.append(len(x))
        return x.mean(1) - 0.5

    return Lead(lead), counts
