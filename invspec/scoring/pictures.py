"""Selection of the pairs that a picture shows, and their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from invspec.data import Examples
from invspec.scoring.pairs import BATCH_SIZE, placed_batches


def pairs_of_one_source_per_class(examples: Examples, among: Tensor) -> Tensor:
    """For each class the pairs of one source, one pair per target class.

    among (N,) bool says which pairs may be chosen. The source is the first of those with the most
    target classes. Returns the positions (M,) of the pairs, in rising order.
    """
    rows, pairs = among.nonzero().squeeze(1), examples.pairs
    columns = (column[rows].tolist() for column in (pairs.y, pairs.source, pairs.y_target))
    by_class: dict[int, dict[int, dict[int, int]]] = {}
    for row, y, source, y_target in zip(rows.tolist(), *columns, strict=True):
        # setdefault keeps the first of several targets of a class
        by_class.setdefault(y, {}).setdefault(source, {}).setdefault(y_target, row)
    widest = [max(sources.values(), key=len) for sources in by_class.values()]
    return torch.tensor(
        sorted(row for targets in widest for row in targets.values()), dtype=torch.int64
    )


def one_pair_per_source(examples: Examples, among: Tensor, count: int) -> Tensor:
    """One pair of each of the first `count` sources: the n-th source with its n-th target.

    Where a source has fewer than n targets, counting starts over at the first. among (N,) bool says
    which pairs may be chosen. Returns the positions (M,) of the pairs, in rising order.
    """
    rows = among.nonzero().squeeze(1)
    by_source: dict[int, list[int]] = {}
    for row, source in zip(rows.tolist(), examples.pairs.source[rows].tolist(), strict=True):
        by_source.setdefault(source, []).append(row)
    first = list(by_source.values())[:count]
    places = [targets[n % len(targets)] for n, targets in enumerate(first)]
    return torch.tensor(sorted(places), dtype=torch.int64)


@dataclass(frozen=True)
class Shown:
    """x, x_target and x_adv (M, C, H, W) of some pairs; rows (M,) are their positions."""

    rows: Tensor
    x: Tensor
    x_target: Tensor
    x_adv: Tensor

    @classmethod
    def read(cls, examples: Examples, rows: Tensor) -> Self:
        """The pairs at positions in rising order; stops reading after the last of them."""
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        last = int(rows[-1])
        for places, batch, tensors in placed_batches(examples, BATCH_SIZE, "x_adv"):
            here = rows[(rows >= places.start) & (rows < places.stop)] - places.start
            parts.append((batch.x[here], batch.targets[here], tensors["x_adv"][here]))
            if places.stop > last:
                break
        x, x_target, x_adv = (torch.cat(images) for images in zip(*parts, strict=True))
        return cls(rows, x, x_target, x_adv)
