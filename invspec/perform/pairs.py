"""Pairs of a source image and a target image of another class, for attacks that walk from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from invspec.data import Batch, Split
from invspec.errors import InvspecError
from invspec.kinds import Targets
from invspec.ops.draws import Stream, digest
from invspec.ops.types import Bounds


@dataclass(frozen=True)
class PairedSplit:
    """Pairs (P,) of examples of one split: a batch has the source as x, y and the target as x_target, y_target.

    source and target (P,) int64 are positions in images; index (P,) int64 says which pair it is, whatever the sample.
    """

    images: Split
    source: Tensor
    target: Tensor
    index: Tensor

    @property
    def bounds(self) -> Bounds:
        """Least and largest value that a pixel may have."""
        return self.images.bounds

    def __len__(self) -> int:
        return len(self.index)

    def head(self, n: int) -> PairedSplit:
        """The first n pairs."""
        return self.take(torch.arange(min(n, len(self))))

    def take(self, positions: Tensor) -> PairedSplit:
        """The pairs at positions (M,), which keep their index."""
        rows = positions.cpu()
        return replace(
            self, source=self.source[rows], target=self.target[rows], index=self.index[rows]
        )

    def labels(self) -> Tensor:
        """y (P,) int64 of the sources."""
        y = self.images.labels()
        return y[self.source.to(y.device)]

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size pairs, in order or in an order drawn from shuffle."""
        order = torch.arange(len(self)) if shuffle is None else shuffle.permutation(len(self))
        for rows in order.split(size):
            source, target = (
                _whole(self.images, self.source[rows]),
                _whole(self.images, self.target[rows]),
            )
            ends = torch.stack([source.index, target.index], dim=1)
            yield replace(
                source, index=self.index[rows], x_target=target.x, y_target=target.y, ends=ends
            )

    def to(self, device: torch.device | str) -> PairedSplit:
        """The same pairs, whose batches come on another device."""
        return replace(self, images=self.images.to(device))


def _whole(images: Split, positions: Tensor) -> Batch:
    (batch,) = images.take(positions).batches(len(positions))
    return batch


def paired(images: Split, sources: Split, targets: Targets, classes: int) -> PairedSplit:
    """Each source with the targets that are not of its class: all pairs of a source stand together.

    sources is a part of images. The index of a pair is that of its source, times the number of targets, plus the
    target's place among them.

    Raises: InvspecError where an index is not in the split, or where every pair would be within a class.
    """
    y = images.labels().cpu()
    positions = sources.index  # in images, whose index counts from 0
    chosen = (
        _each(positions, y, targets)
        if targets.each
        else _shared(y, targets, classes).expand(len(positions), -1)
    )
    other = y[chosen] != y[positions][:, None]
    source, slot = other.nonzero(as_tuple=True)
    if not len(source):
        raise InvspecError(
            "no target is of another class than its source", hint="draw targets of more classes"
        )
    count = chosen.shape[1]
    return PairedSplit(
        images, positions[source], chosen[source, slot], positions[source] * count + slot
    )


def _shared(y: Tensor, targets: Targets, classes: int) -> Tensor:
    """The targets of all sources, (T,): those given, or some drawn of each class."""
    if targets.indices:
        if (beyond := max(targets.indices)) >= len(y):
            raise InvspecError(
                f"no example {beyond} in a split of {len(y):,}", hint="targets.indices count from 0"
            )
        return torch.tensor(targets.indices)
    order = torch.from_numpy(_generator(targets.seed).permutation(len(y)))
    return torch.cat([order[y[order] == k][: targets.per_class] for k in range(classes)])


def _each(positions: Tensor, y: Tensor, targets: Targets) -> Tensor:
    """For each source its own targets (S, T), none of its class, drawn from its position alone."""
    drawn: list[Tensor] = []
    for position in positions.tolist():
        order = torch.from_numpy(_generator(targets.seed, position).permutation(len(y)))
        drawn.append(order[y[order] != y[position]][: targets.each])
    if len({len(row) for row in drawn}) > 1 or (drawn and len(drawn[0]) < (targets.each or 0)):
        raise InvspecError(
            f"fewer than {targets.each} images of other classes", hint="lower targets.each"
        )
    return torch.stack(drawn)


def _generator(*words: int) -> np.random.Generator:
    seed: Sequence[int] = np.frombuffer(
        digest("targets " + " ".join(map(str, words)))[:16], dtype=np.uint32
    ).tolist()
    return np.random.default_rng(seed)
