"""Pooling layers that torch does not have."""

from __future__ import annotations

from torch import Tensor, nn


class EvenMaxPool(nn.Module):
    """Max-pooling over 2 x 2 windows whose gradient is shared by equal values.

    (B, C, H, W) to (B, C, H // 2, W // 2). nn.MaxPool2d gives the gradient of a window to the first
    of its largest values. So where an image is constant, a turn of the image moves it.

    >>> import torch
    >>> x = torch.ones(1, 1, 2, 2, requires_grad=True)
    >>> EvenMaxPool()(x).sum().backward()
    >>> x.grad
    tensor([[[[0.2500, 0.2500],
              [0.2500, 0.2500]]]])
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = (side // 2 for side in x.shape[-2:])
        windows = x[..., : 2 * height, : 2 * width].unflatten(-1, (width, 2))
        return windows.unflatten(-3, (height, 2)).amax((-3, -1))


class SpatialMax(nn.Module):
    """Maximum over all positions: (B, C, H, W) to (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((-2, -1))
