"""Coloured figures, generated when they are loaded."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from invspec.data import TensorSplit
from invspec.kinds import SplitName
from invspec.kinds.generated import Generated, TestCount, TrainCount, ValCount
from invspec.ops.draws import Stream
from invspec.ops.types import Shape

# Height and width of an image.
SIDE = 32

# Least and largest radius of a figure, in pixels.
RADII = (7.0, 12.0)

# Largest rotation of a figure in degrees, and largest noise on a pixel in [0, 1], both either way.
MAX_TILT = 15.0
NOISE = 0.1


class Shapes(Generated):
    """RGB images of 32 x 32, each with one of ten figures, such as a disc, a cross or stripes.

    Size, position, tilt (at most 15 degrees), the colours of figure and background, and the noise
    on every pixel are random for each image. Figure or background is bright, with equal
    probability, and the other dark, so that a class has no typical mean image. No figure is a
    rotation of another, so that rotation preserves labels. Labels cycle (0, 1, ..., K - 1, 0, ...),
    so that the first n examples are balanced; the splits are independent. In Python and YAML the
    first field is named classes.
    """

    model_config = ConfigDict(populate_by_name=True)

    class_count: int = Field(
        default=10,
        ge=2,
        le=10,
        alias="classes",
        description="number of classes: the first of the ten figures",
    )
    train: TrainCount = 4000
    val: ValCount = 500
    test: TestCount = 1000
    seed: int = Field(default=0, ge=0, description="seed of the images")

    @property
    def shape(self) -> Shape:
        return (3, SIDE, SIDE)

    @property
    def classes(self) -> int:
        return self.class_count

    def load(self, split: SplitName) -> TensorSplit:
        y = torch.arange(self.count(split)) % self.classes
        draws = Stream(f"shapes/{self.seed}/{split}")
        inside = cover(y, draws)[:, None]
        figure, ground = colours(len(y), draws)
        noise = NOISE * (2 * draws.uniform((len(y), *self.shape)) - 1)
        pixels = (ground.lerp(figure, inside) + noise).clamp(0, 1) * 255
        return TensorSplit(pixels.round().to(torch.uint8), y)


def cover(y: Tensor, draws: Stream) -> Tensor:
    """The share of each pixel inside a random figure of class y (N,): (N, 32, 32) in [0, 1]."""
    least, most = RADII
    radius = least + (most - least) * draws.uniform((len(y), 1, 1))
    # anywhere, as long as the figure stays inside the image
    centre = (SIDE / 2 - radius) * (2 * draws.uniform((len(y), 2, 1)) - 1)
    tilt = math.radians(MAX_TILT) * (2 * draws.uniform((len(y), 1, 1)) - 1)
    # centres of pixels, measured from the centre of the image
    along = torch.arange(SIDE) - (SIDE - 1) / 2
    right, down = ((along - centre[:, axis]) / radius[:, 0] for axis in (0, 1))
    right, down = right[:, None, :], down[:, :, None]
    u, v = right * tilt.cos() + down * tilt.sin(), down * tilt.cos() - right * tilt.sin()
    distance = torch.empty_like(u)
    for label, figure in enumerate(FIGURES):
        distance[y == label] = figure(u[y == label], v[y == label])
    # The edge is one pixel wide.
    return (0.5 - distance * radius).clamp(0, 1)


def colours(n: int, draws: Stream) -> tuple[Tensor, Tensor]:
    """Colours of figures and grounds, each (n, 3, 1, 1): one in [0, 0.4], the other in [0.6, 1]."""
    dark, bright = 0.4 * draws.uniform((n, 3, 1, 1)), 1 - 0.4 * draws.uniform((n, 3, 1, 1))
    swapped = draws.uniform((n, 1, 1, 1)) < 0.5
    return torch.where(swapped, dark, bright), torch.where(swapped, bright, dark)


# Signed distance of a point (u, v) from a figure of radius 1 about the origin, negative inside it.
# u points right, v down.


def disc(u: Tensor, v: Tensor) -> Tensor:
    return u.hypot(v) - 1


def cross(u: Tensor, v: Tensor) -> Tensor:
    return bar(u, v).minimum(bar(v, u))


def stripes(u: Tensor, v: Tensor) -> Tensor:
    # Folded, so that one rectangle gives stripes about v = -0.8, 0 and 0.8.
    return rectangle(u, ((v.abs() - 0.4).abs() - 0.4).abs(), 0.9, 0.2)


def triangle(u: Tensor, v: Tensor) -> Tensor:
    # three half planes, each at distance 1/2 from the centre
    return v.maximum(u.abs() * math.sqrt(0.75) - v / 2) - 0.5


def ring(u: Tensor, v: Tensor) -> Tensor:
    return (u.hypot(v) - 0.75).abs() - 0.25


def square(u: Tensor, v: Tensor) -> Tensor:
    return rectangle(u, v, 0.85, 0.85)


def pair(u: Tensor, v: Tensor) -> Tensor:
    # folded, so that one disc gives two
    return (u.abs() - 0.6).hypot(v) - 0.4


def crescent(u: Tensor, v: Tensor) -> Tensor:
    # a disc minus another one to its right
    return disc(u, v).maximum(0.8 - (u - 0.5).hypot(v))


def frame(u: Tensor, v: Tensor) -> Tensor:
    # the outline of a square, 0.4 wide
    return rectangle(u, v, 0.7, 0.7).abs() - 0.2


def bar(u: Tensor, v: Tensor) -> Tensor:
    return rectangle(u, v, 1, 0.3)


def rectangle(u: Tensor, v: Tensor, half_width: float, half_height: float) -> Tensor:
    # not Euclidean outside: corners stay sharp
    return (u.abs() - half_width).maximum(v.abs() - half_height)


FIGURES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    disc,
    cross,
    stripes,
    triangle,
    ring,
    square,
    pair,
    crescent,
    frame,
    bar,
)
