"""Square Attack, a random search that needs only logits; the last attack of AutoAttack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import margin
from invspec.ops.norms import per_example, size
from invspec.search.ball import Ball, eps_0_skips_model
from invspec.search.search import Search

# numbers of proposals, out of 10,000, after which squares halve in area
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
# proposals whose random numbers are drawn together, because each call has overhead
BLOCK = 500
# tiles per side of the image in the start of norm l2
TILES = 5


class Square(Attack):
    """Change random squares of the image, keeping each change that raises the margin.

    linf (Algorithm 2): start with vertical stripes of x +- eps; a proposal sets each channel of a
    square to x + eps or x - eps. l2 (Algorithm 3): start with 5 x 5 tiles, each a positive and a
    negative bump; a proposal moves the length of a second square's perturbation, and the unused
    part of eps, into the first square, where a fresh pair of bumps is added. Squares start with
    `area` of the image and halve in area nine times, after 10, 50, 200, 500, 1000, 2000, 4000, 6000
    and 8000 of 10,000 proposals.

    An image that is already misclassified is returned unchanged, and an example stops once it is
    misclassified.

    Needs batch.y but no gradients. Returns x_adv (B, C, H, W). eps 0 returns x without running the
    model.

    Deviates from the authors' code, not from the paper: each example draws its own squares, and
    they may reach the last row and column.
    """

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Literal["linf", "l2"] = Field(default="linf", description="shape of the ball: linf or l2")
    queries: int = Field(
        default=5000, ge=1, description="forward passes per run, not counting the one for x"
    )
    restarts: int = Field(default=1, ge=1, description="runs from fresh starts, kept if better")
    area: Number = Field(
        default=0.8,
        gt=0,
        le=1,
        description="area of the first squares as a share of the image (p of the paper)",
    )
    rescale: bool = Field(
        default=True, description="shrink squares by the share of queries spent, not their number"
    )

    @property
    def gradient_loss(self) -> None:
        return None

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, ball = Search(model, batch), Ball(self.norm, self.eps, batch.bounds)
        search.narrow(search.logits(batch.x).argmax(1) == batch.y)
        for _ in range(self.restarts):
            search.merge(self._run(search, ball, rng))
        return search.result()

    def _run(self, search: Search, ball: Ball, rng: Draws) -> Search:
        """One run: `queries` forward passes for an example that never leaves."""
        begin, propose = (stripes, with_square) if self.norm == "linf" else (tiles, with_bumps)
        # all draws are for the whole batch: they must not depend on which examples are active
        run, start = Search(search.model, search.active), begin(search.batch.x, ball, rng)
        run.judge(margin, search.pick(start))
        for side, drawn in self._proposals(search.batch.x, rng):
            if len(run):
                drawn = run.pick(search.pick(drawn))
                run.judge(margin, propose(run.x, run.x_adv, side, drawn, ball))
        return run

    def _proposals(self, x: Tensor, rng: Draws) -> Iterator[tuple[int, Tensor]]:
        """Yield the side of each proposal's squares and its draws (B, C + 5), uniform in [0, 1)."""
        count, (channels, height, width) = self.queries - 1, x.shape[1:]
        for first in range(0, count, BLOCK):
            block = range(first, min(first + BLOCK, count))
            # row and column of two squares, the turn of a pair of bumps, and a sign per channel
            drawn = rng.uniform((len(x), len(block), channels + 5)).to(x)
            yield from zip(
                (self._side(number, height, width) for number in block),
                drawn.unbind(1),
                strict=True,
            )

    def _side(self, number: int, height: int, width: int) -> int:
        """Side of the squares of a proposal, in pixels; odd and at least 3 for norm l2."""
        spent = number * 10_000 // self.queries if self.rescale else number
        area = self.area / 2 ** sum(spent > halving for halving in HALVINGS)
        side = max(round(math.sqrt(area * height * width)), 1)
        if self.norm == "l2":
            # bumps have a centre
            side = max(side, 3) // 2 * 2 + 1
        return min(side, height, width)


def signs(drawn: Tensor) -> Tensor:
    """1 or -1, each with probability 1/2, from draws that are uniform in [0, 1)."""
    return torch.where(drawn < 0.5, 1.0, -1.0).to(drawn)


def stripes(x: Tensor, ball: Ball, rng: Draws) -> Tensor:
    """The start of norm linf, (B, C, H, W): each column of each channel moved up or down by eps."""
    examples, channels, _, width = x.shape
    columns = signs(rng.uniform((examples, channels, 1, width)).to(x))
    return (x + ball.eps * columns).clamp(*ball.bounds)


def with_square(x: Tensor, best: Tensor, side: int, drawn: Tensor, ball: Ball) -> Tensor:
    """A proposal of norm linf: best (M, C, H, W) with a square of x + eps or x - eps."""
    filled = (x + ball.eps * signs(drawn[:, 5:, None, None])).clamp(*ball.bounds)
    return torch.where(Window.at(drawn[:, :2], side, x).inside, filled, best)


def tiles(x: Tensor, ball: Ball, rng: Draws) -> Tensor:
    """The start of norm l2, (B, C, H, W): 5 x 5 pairs of bumps, upright or turned."""
    examples, channels, height, width = x.shape
    side = max(min(height, width) // TILES, 1)
    drawn = rng.uniform((examples, channels + 1, TILES, TILES)).to(x)[..., None, None]
    pair = bumps(side).to(x)
    # (B, C, 5, 5, side, side)
    tile = signs(drawn[:, :channels]) * torch.where(drawn[:, channels:] < 0.5, pair, pair.T)
    delta = tile.transpose(3, 4).reshape(examples, channels, TILES * side, TILES * side)
    x0, y0 = (width - TILES * side) // 2, (height - TILES * side) // 2
    delta = F.pad(delta, (x0, width - TILES * side - x0, y0, height - TILES * side - y0))
    return moved_by_eps(x, delta, ball)


def with_bumps(x: Tensor, best: Tensor, side: int, drawn: Tensor, ball: Ball) -> Tensor:
    """A proposal of norm l2: the perturbations of two windows of best go into the first window."""
    delta = best - x
    first, second = Window.at(drawn[:, :2], side, x), Window.at(drawn[:, 2:4], side, x)
    either, pair = first.inside | second.inside, first.bumps(turned=drawn[:, 4] < 0.5)
    fresh = normalised(normalised(delta * first.inside) + signs(drawn[:, 5:, None, None]) * pair)
    # the unused part of eps**2 is shared equally among the channels
    unused = per_example((ball.eps**2 - size(delta, "l2") ** 2).clamp_min(0), x) / x.shape[1]
    length = ((delta * either).square().sum((2, 3), keepdim=True) + unused).sqrt()
    return moved_by_eps(x, torch.where(either, fresh * length, delta), ball)


def moved_by_eps(x: Tensor, delta: Tensor, ball: Ball) -> Tensor:
    """x moved by eps along delta (M, C, H, W), then clamped to the box."""
    scale = per_example(ball.eps / size(delta, "l2").clamp_min(1e-12), delta)
    return (x + delta * scale).clamp(*ball.bounds)


def normalised(delta: Tensor) -> Tensor:
    """Each channel of delta (M, C, H, W) divided by its l2 length; 0 stays 0."""
    return delta / torch.linalg.vector_norm(delta, dim=(2, 3), keepdim=True).clamp_min(1e-12)


@dataclass
class Window:
    """A square in each of M images, by the offsets of rows and columns from its top left corner."""

    below: Tensor  # offsets of rows from the top, (M, H)
    right: Tensor  # offsets of columns from the left side, (M, W)
    side: int

    @classmethod
    def at(cls, drawn: Tensor, side: int, like: Tensor) -> Window:
        """Squares in images like (M, C, H, W), uniformly placed by drawn (M, 2) in [0, 1)."""
        below, right = (
            torch.arange(length, device=like.device)
            - (part * (length - side + 1)).long().clamp_max(length - side)
            for part, length in zip(drawn.split(1, dim=1), like.shape[2:], strict=True)
        )
        return cls(below, right, side)

    @property
    def inside(self) -> Tensor:
        """Which pixels are in the square, (M, 1, H, W) bool."""
        rows = (self.below >= 0) & (self.below < self.side)
        columns = (self.right >= 0) & (self.right < self.side)
        return rows[:, None, :, None] & columns[:, None, None, :]

    def bumps(self, turned: Tensor) -> Tensor:
        """A pair of bumps in the square, 0 around it, (M, 1, H, W); side by side where turned."""
        rows, columns = (offset.clamp(0, self.side - 1) for offset in (self.below, self.right))
        pair = bumps(self.side).to(turned.device)
        upright, beside = (image[rows[:, :, None], columns[:, None, :]] for image in (pair, pair.T))
        return torch.where(turned[:, None, None], beside, upright).unsqueeze(1) * self.inside


@cache
def bumps(side: int) -> Tensor:
    """A bump above a negative bump, (side, side), of l2 length 1: eta of the paper."""
    pair = torch.cat([bump(side // 2, side), -bump(side - side // 2, side)])
    return pair / pair.norm()


def bump(height: int, width: int) -> Tensor:
    """A stepped pyramid of l2 length 1, proportional to the sum of 1 / k**2 over k > distance."""
    rows, columns = (torch.arange(length) - length // 2 for length in (height, width))
    distance = torch.maximum(rows.abs().unsqueeze(1), columns.abs())
    beyond = (1 / torch.arange(1, max(height, width) // 2 + 2) ** 2).flip(0).cumsum(0).flip(0)
    return beyond[distance] / beyond[distance].norm()
