"""Images that a report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from invspec.data import Examples
from invspec.scoring.pairs import READ

# ─ which pairs are shown ──────────────────────────────────────────────────────────────────────────────────────────────


def one_source_a_class(examples: Examples, among: Tensor) -> Tensor:
    """Of each class the pairs of one source, one for each class of target: their places (M,), rising.

    among (N,) bool says which pairs may be chosen. Of the sources with the most classes of targets it is the first.
    """
    names, rows = ("y", "source", "y_target"), among.nonzero().squeeze(1)
    found: dict[int, dict[int, dict[int, int]]] = {}
    for row, *pair in zip(
        rows.tolist(), *(examples.judged[name][rows].tolist() for name in names), strict=True
    ):
        y, source, y_target = pair
        found.setdefault(y, {}).setdefault(source, {}).setdefault(y_target, row)
    widest = [max(sources.values(), key=len) for sources in found.values()]
    return torch.tensor(
        sorted(row for targets in widest for row in targets.values()), dtype=torch.int64
    )


def a_target_a_source(examples: Examples, among: Tensor, count: int) -> Tensor:
    """Pairs of the first `count` sources, the n-th with its n-th target, counted round: their places (M,), rising."""
    rows = among.nonzero().squeeze(1)
    found: dict[int, list[int]] = {}
    for row, source in zip(rows.tolist(), examples.judged["source"][rows].tolist(), strict=True):
        found.setdefault(source, []).append(row)
    chosen = [
        targets[place % len(targets)] for place, targets in enumerate(list(found.values())[:count])
    ]
    return torch.tensor(sorted(chosen), dtype=torch.int64)


@dataclass(frozen=True)
class Shown:
    """The images of some pairs: rows (M,) are their places; x, x_target and x_adv (M, C, H, W)."""

    rows: Tensor
    x: Tensor
    x_target: Tensor
    x_adv: Tensor

    @classmethod
    def of(cls, examples: Examples, rows: Tensor) -> Self:
        """Of pairs at rising places; reads no further than the last of them."""
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        done, last = 0, int(rows[-1])
        for batch, tensors in examples.batches(READ, "x_adv"):
            here = rows[(rows >= done) & (rows < done + len(batch))] - done
            found.append((batch.x[here], batch.targets[here], tensors["x_adv"][here]))
            done += len(batch)
            if done > last:
                break
        x, x_target, x_adv = (torch.cat(parts) for parts in zip(*found, strict=True))
        return cls(rows, x, x_target, x_adv)
