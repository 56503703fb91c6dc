"""Square Attack, a random search that asks for logits only; the last component of AutoAttack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import margin
from invspec.ops.norms import per_example, size
from invspec.ops.types import Bounds
from invspec.search.gradients import logits_of
from invspec.search.survivors import Survivors

HALVINGS = (
    10,
    50,
    200,
    500,
    1000,
    2000,
    4000,
    6000,
    8000,
)  # proposals, of 10,000, after which squares shrink
BLOCK = 500  # proposals whose random numbers are drawn at once: a call costs more than the numbers
TILES = 5  # of a side of the image, in the start of norm l2


class Square(Attack):
    """Change random squares of the image, and keep a change if it raises the margin.

    linf (Algorithm 2): start with vertical stripes of x +- eps; a proposal sets every channel of a square to
    x + eps or x - eps. l2 (Algorithm 3): start with 5 x 5 tiles, each a positive and a negative bump; a proposal
    moves the length of a second square's perturbation, and what is left of eps, into the first, where a fresh
    pair of bumps is added to what is there. Squares start with `area` of the image and halve in area nine times,
    after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 proposals.

    An image that the model misclassifies already is the answer as it is, and an example leaves once it is
    misclassified. Needs batch.y, no gradients. Returns x_adv (B, C, H, W). eps 0 does not ask the model.

    Deviates from the authors' code, not from the paper: every example draws squares of its own, and they may reach
    the last row and column.
    """

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Literal["linf", "l2"] = Field(default="linf", description="shape of the ball: linf or l2")
    queries: int = Field(
        default=5000,
        ge=1,
        description="images of a run that the model is asked about, x not counted",
    )
    restarts: int = Field(default=1, ge=1, description="runs from fresh starts, kept if better")
    area: Number = Field(
        default=0.8,
        gt=0,
        le=1,
        description="share of the image in the first squares (p of the paper)",
    )
    rescale: bool = Field(
        default=True, description="shrink squares by the share of queries spent, not their number"
    )

    def smoke(self) -> Self:
        return super().smoke().model_copy(update={"queries": min(self.queries, 10)})

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        survivors = Survivors(batch, logits_of(model, batch.x))
        for _ in range(self.restarts):
            self._search(model, survivors, rng)
        return survivors.found()

    def _search(self, model: nn.Module, survivors: Survivors, rng: Draws) -> None:
        """One run, of `queries` forward passes for those that are left to its end."""
        batch, rows = survivors.batch, survivors.rows
        begin, propose = (stripes, with_square) if self.norm == "linf" else (tiles, with_bumps)
        search = Search.at(batch.take(rows), rows)
        search = search.judged(model, survivors, begin(batch, self.eps, rng)[rows])
        for side, drawn in self._proposals(batch, rng):
            if len(search.rows):
                proposed = propose(
                    search.x, search.best, side, drawn[search.rows], self.eps, batch.bounds
                )
                search = search.judged(model, survivors, proposed)
        survivors.offer(
            search.rows,
            search.best,
            search.highest,
            torch.zeros_like(search.rows, dtype=torch.bool),
        )

    def _proposals(self, batch: Batch, rng: Draws) -> Iterator[tuple[int, Tensor]]:
        """For every proposal the side of its squares and what it draws, (B, C + 5), uniform in [0, 1).

        Drawn for all of the batch, lest an example's draws depend on its neighbours' fate.
        """
        count, (channels, height, width) = self.queries - 1, batch.x.shape[1:]
        for first in range(0, count, BLOCK):
            block = range(first, min(first + BLOCK, count))
            drawn = rng.uniform((len(batch), len(block), channels + 5)).to(batch.x)
            yield from zip(
                (self._side(number, height, width) for number in block),
                drawn.unbind(1),
                strict=True,
            )

    def _side(self, number: int, height: int, width: int) -> int:
        """Of the squares of proposal `number`, in pixels; norm l2 wants it odd and at least 3."""
        spent = number * 10_000 // self.queries if self.rescale else number
        area = self.area / 2 ** sum(spent > halving for halving in HALVINGS)
        side = max(round(math.sqrt(area * height * width)), 1)
        if self.norm == "l2":
            side = max(side, 3) // 2 * 2 + 1
        return min(side, height, width)


@dataclass
class Search:
    """M examples that are searched. Every field has them along its first axis."""

    rows: Tensor  # (M,) their positions in the batch
    x: Tensor  # (M, C, H, W), as is best
    y: Tensor  # (M,), as is highest
    best: Tensor
    highest: Tensor  # margin at best

    @classmethod
    def at(cls, batch: Batch, rows: Tensor) -> Search:
        """The examples of a batch, which stand at `rows` of a larger one, before anything was tried."""
        return cls(rows, batch.x, batch.y, batch.x, batch.x.new_full((len(batch),), -torch.inf))

    def judged(self, model: nn.Module, survivors: Survivors, proposed: Tensor) -> Search:
        """Ask about the images proposed (M, C, H, W), and keep those of larger margin. Returns who is left."""
        logits = logits_of(model, proposed)
        survivors.asked(self.rows, forwards=1, backwards=0)
        reached, fooled = margin(logits, self.y).to(self.highest), logits.argmax(1) != self.y
        better = per_example(reached > self.highest, self.x)
        best, highest = (
            torch.where(better, proposed, self.best),
            torch.maximum(reached, self.highest),
        )
        if not fooled.any():
            return replace(self, best=best, highest=highest)
        survivors.offer(self.rows[fooled], proposed[fooled], reached[fooled], fooled[fooled])
        return Search(*(tensor[~fooled] for tensor in (self.rows, self.x, self.y, best, highest)))


def signs(drawn: Tensor) -> Tensor:
    """1 or -1, each with probability 1/2, from what is uniform in [0, 1)."""
    return torch.where(drawn < 0.5, 1.0, -1.0).to(drawn)


def stripes(batch: Batch, eps: float, rng: Draws) -> Tensor:
    """The start of norm linf, (B, C, H, W): each column of each channel moved up or down by eps."""
    examples, channels, _, width = batch.x.shape
    columns = signs(rng.uniform((examples, channels, 1, width)).to(batch.x))
    return (batch.x + eps * columns).clamp(*batch.bounds)


def with_square(
    x: Tensor, best: Tensor, side: int, drawn: Tensor, eps: float, bounds: Bounds
) -> Tensor:
    """A proposal of norm linf: best (M, C, H, W) with a square of x + eps or x - eps, by channel."""
    filled = (x + eps * signs(drawn[:, 5:, None, None])).clamp(*bounds)
    return torch.where(Window.at(drawn[:, :2], side, x).inside, filled, best)


def tiles(batch: Batch, eps: float, rng: Draws) -> Tensor:
    """The start of norm l2, (B, C, H, W): 5 x 5 pairs of bumps around the centre, upright or turned."""
    examples, channels, height, width = batch.x.shape
    side = max(min(height, width) // TILES, 1)
    drawn = rng.uniform((examples, channels + 1, TILES, TILES)).to(batch.x)[..., None, None]
    pair = bumps(side).to(batch.x)
    tile = signs(drawn[:, :channels]) * torch.where(
        drawn[:, channels:] < 0.5, pair, pair.T
    )  # (B, C, 5, 5, side, side)
    delta = tile.transpose(3, 4).reshape(examples, channels, TILES * side, TILES * side)
    left, top = (width - TILES * side) // 2, (height - TILES * side) // 2
    delta = F.pad(delta, (left, width - TILES * side - left, top, height - TILES * side - top))
    return to_length(batch.x, delta, eps, batch.bounds)


def with_bumps(
    x: Tensor, best: Tensor, side: int, drawn: Tensor, eps: float, bounds: Bounds
) -> Tensor:
    """A proposal of norm l2: best (M, C, H, W) with the length of two windows' perturbation spent in the first."""
    delta = best - x
    first, second = Window.at(drawn[:, :2], side, x), Window.at(drawn[:, 2:4], side, x)
    either, pair = first.inside | second.inside, first.bumps(turned=drawn[:, 4] < 0.5)
    fresh = over_length(over_length(delta * first.inside) + signs(drawn[:, 5:, None, None]) * pair)
    unused = per_example((eps**2 - size(delta, "l2") ** 2).clamp_min(0), x) / x.shape[1]
    length = ((delta * either).square().sum((2, 3), keepdim=True) + unused).sqrt()
    return to_length(x, torch.where(either, fresh * length, delta), eps, bounds)


def to_length(x: Tensor, delta: Tensor, eps: float, bounds: Bounds) -> Tensor:
    """x moved by eps in the direction of delta (M, C, H, W), and into the box."""
    return (x + delta * per_example(eps / size(delta, "l2").clamp_min(1e-12), delta)).clamp(*bounds)


def over_length(delta: Tensor) -> Tensor:
    """Every channel of delta (M, C, H, W) over its l2 length; 0 stays 0."""
    return delta / torch.linalg.vector_norm(delta, dim=(2, 3), keepdim=True).clamp_min(1e-12)


@dataclass
class Window:
    """A square for each of M examples: how far below its top a row is, (M, H), and right of it a column, (M, W)."""

    below: Tensor
    right: Tensor
    side: int

    @classmethod
    def at(cls, drawn: Tensor, side: int, like: Tensor) -> Window:
        """Squares within images like (M, C, H, W), at positions that are uniform if drawn (M, 2) is in [0, 1)."""
        below, right = (
            torch.arange(length, device=like.device)
            - (part * (length - side + 1)).long().clamp_max(length - side)
            for part, length in zip(drawn.split(1, dim=1), like.shape[2:], strict=True)
        )
        return cls(below, right, side)

    @property
    def inside(self) -> Tensor:
        """Which pixels lie in it, (M, 1, H, W) bool."""
        rows, columns = ((at >= 0) & (at < self.side) for at in (self.below, self.right))
        return rows[:, None, :, None] & columns[:, None, None, :]

    def bumps(self, turned: Tensor) -> Tensor:
        """A pair of bumps in it and 0 around it, (M, 1, H, W); where turned (M,), side by side."""
        rows, columns = (at.clamp(0, self.side - 1) for at in (self.below, self.right))
        pair = bumps(self.side).to(turned.device)
        upright, beside = (one[rows[:, :, None], columns[:, None, :]] for one in (pair, pair.T))
        return torch.where(turned[:, None, None], beside, upright).unsqueeze(1) * self.inside


@cache
def bumps(side: int) -> Tensor:
    """A bump above its negative, (side, side), of l2 length 1: eta of the paper."""
    pair = torch.cat([bump(side // 2, side), -bump(side - side // 2, side)])
    return pair / pair.norm()


def bump(height: int, width: int) -> Tensor:
    """A stepped pyramid of l2 length 1: at distance d from its middle, the sum of 1 / k ** 2 for the k beyond d."""
    rows, columns = (torch.arange(length) - length // 2 for length in (height, width))
    distance = torch.maximum(rows.abs().unsqueeze(1), columns.abs())
    beyond = (1 / torch.arange(1, max(height, width) // 2 + 2) ** 2).flip(0).cumsum(0).flip(0)
    return beyond[distance] / beyond[distance].norm()
