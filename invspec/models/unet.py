"""A small U-Net that makes an image of a source and a target."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.kinds import Model
from invspec.ops.types import Shape

# what LeakyReLU leaves of negative numbers
SLOPE = 0.1


class UNet(Model):
    """Convolutions on ever smaller maps and back, with a skip between maps of equal size.

    It reads a source and a target, (B, 2C, H, W), and returns the target plus a correction
    (B, C, H, W). The last convolution starts at zero, so that an untrained net returns the target.

    Deviates: two convolutions a level as in the paper, but padded, with strides in place of
    pooling, normalised over each image, and far narrower.
    """

    makes: ClassVar[Literal["logits", "images"]] = "images"

    widths: tuple[PositiveInt, ...] = Field(
        default=(32, 64, 128),
        min_length=1,
        description="channels of each level; a level has half the height and width of the last",
    )

    def build(self, shape: Shape, classes: int) -> UNetModule:
        channels, height, width = shape
        smallest = min(height, width) // 2 ** (len(self.widths) - 1)
        if smallest < 1:
            raise ValueError(
                f"images of {height}x{width} pixels are too small for {len(self.widths)} levels"
            )
        return UNetModule(channels, self.widths)


class UNetModule(nn.Module):
    """The net: blocks down, and blocks up that read the skips."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        fans = zip((2 * channels, *widths), widths, strict=False)
        self.down = nn.ModuleList(
            block(fan_in, fan_out, stride=2 if level else 1)
            for level, (fan_in, fan_out) in enumerate(fans)
        )
        narrowing = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(block(wide + narrow, narrow) for wide, narrow in narrowing)
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, pair: Tensor) -> Tensor:
        """Sources and targets (B, 2C, H, W) to images (B, C, H, W), which may leave the bounds."""
        _, target = pair.chunk(2, dim=1)
        maps, skips = pair - 0.5, list[Tensor]()
        for down in self.down:
            maps = down(maps)
            skips.append(maps)
        for up, skip in zip(self.up, skips[-2::-1], strict=True):
            larger = F.interpolate(maps, size=skip.shape[-2:], mode="nearest")
            maps = up(torch.cat([larger, skip], dim=1))
        return target + self.last(maps)


def block(fan_in: int, fan_out: int, stride: int = 1) -> nn.Sequential:
    """Two convolutions, each normalised over the image."""
    return nn.Sequential(
        nn.Conv2d(fan_in, fan_out, 3, stride, padding=1),
        nn.GroupNorm(1, fan_out),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(fan_out, fan_out, 3, padding=1),
        nn.GroupNorm(1, fan_out),
        nn.LeakyReLU(SLOPE),
    )
