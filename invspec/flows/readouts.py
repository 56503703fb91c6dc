"""Readouts: bijections that split the last map into the logits and the rest."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from invspec.flows.layers import DCT
from invspec.ops.types import Shape

Code = tuple[Tensor, Tensor]


class SiteReadout(nn.Module):
    """The first K channels at one site of a map (B, C, H, W).

    With dct the map is transformed first and the site is a frequency: (0, 0) gives the channels'
    means, scaled.

    Raises: ValueError if there are fewer channels than classes, or no such site.
    """

    def __init__(self, shape: Shape, classes: int, site: tuple[int, int], dct: bool) -> None:
        super().__init__()
        channels, height, width = shape
        row, column = site
        if channels < classes:
            raise ValueError(
                f"{classes} logits need at least {classes} channels in the last map, "
                f"found {channels}"
            )
        if row >= height or column >= width:
            raise ValueError(
                f"site {row}, {column} is outside the last map, which is {height}x{width}"
            )
        self.shape, self.classes, self.place = shape, classes, row * width + column
        self.transform = DCT() if dct else None

    def forward(self, x: Tensor) -> Code:
        maps = (x if self.transform is None else self.transform(x)[0]).flatten(2)
        here = maps[:, :, self.place]
        others = torch.cat([maps[:, :, : self.place], maps[:, :, self.place + 1 :]], dim=2)
        unread = torch.cat([here[:, self.classes :], others.flatten(1)], dim=1)
        return here[:, : self.classes], unread

    def inverse(self, semantic: Tensor, unread: Tensor) -> Tensor:
        channels = self.shape[0]
        beside = channels - self.classes
        other_channels, others = unread.split([beside, unread.shape[1] - beside], dim=1)
        here = torch.cat([semantic, other_channels], dim=1).unsqueeze(2)
        others = others.unflatten(1, (channels, -1))
        parts = [others[:, :, : self.place], here, others[:, :, self.place :]]
        maps = torch.cat(parts, dim=2).view(-1, *self.shape)
        return maps if self.transform is None else self.transform.inverse(maps)


class FirstReadout(nn.Module):
    """The first K entries of a flattened map or vector.

    Raises: ValueError if there are fewer than K entries.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        if math.prod(shape) < classes:
            raise ValueError(
                f"{classes} logits need at least {classes} numbers in the last map, "
                f"found {math.prod(shape)}"
            )
        self.shape, self.classes = shape, classes

    def forward(self, x: Tensor) -> Code:
        flat = x.flatten(1)
        return flat[:, : self.classes], flat[:, self.classes :]

    def inverse(self, semantic: Tensor, unread: Tensor) -> Tensor:
        return torch.cat([semantic, unread], dim=1).view(-1, *self.shape)
