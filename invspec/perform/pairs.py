"""Pairs of a source image and a target image of another class, for target walks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from invspec.data import Batch, IndexedSplit, Split
from invspec.errors import InvspecError
from invspec.kinds import Targets
from invspec.ops.draws import digest
from invspec.ops.types import Bounds


@dataclass(frozen=True)
class PairedSplit(IndexedSplit):
    """Pairs (P,) of examples of one split.

    A batch has the source as x and y, and the target as x_target and y_target. source and target
    (P,) int64 are positions in images; index (P,) int64 identifies a pair in every sample.
    """

    images: Split
    source: Tensor
    target: Tensor
    index: Tensor
    bounds: Bounds = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", self.images.bounds)

    def take(self, positions: Tensor) -> PairedSplit:
        """The pairs at positions (M,), which keep their index."""
        columns = (self.source, self.target, self.index)
        source, target, index = (column[positions.cpu()] for column in columns)
        return replace(self, source=source, target=target, index=index)

    def labels(self) -> Tensor:
        """y (P,) int64 of the sources."""
        y = self.images.labels()
        return y[self.source.to(y.device)]

    def to(self, device: torch.device | str) -> PairedSplit:
        """The same pairs; their batches are on another device."""
        return replace(self, images=self.images.to(device))

    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The pairs at each chunk of positions."""
        for positions in chunks:
            source = _batch_at(self.images, self.source[positions])
            target = _batch_at(self.images, self.target[positions])
            yield replace(
                source,
                index=self.index[positions],
                x_target=target.x,
                y_target=target.y,
                ends=torch.stack([source.index, target.index], dim=1),
            )


def _batch_at(images: Split, positions: Tensor) -> Batch:
    """The examples at positions as one batch, empty or not."""
    (batch,) = images.take(positions).batches(max(len(positions), 1))
    return batch


def paired(images: Split, sources: Split, targets: Targets, classes: int) -> PairedSplit:
    """Each source with its targets, without those of its own class; pairs are sorted by source.

    sources is a part of images. The index of a pair is the index of its source, times the number of
    targets, plus the target's position among them.

    Raises: InvspecError if a target is not in the split, or if no pair is left.
    """
    y = images.labels().cpu()
    # The index of images counts from 0, so it is a position.
    positions = sources.index
    if targets.each:
        candidates = _targets_per_source(positions, y, targets)
    else:
        candidates = _shared_targets(y, targets, classes).expand(len(positions), -1)
    other_class = y[candidates] != y[positions][:, None]
    row, slot = other_class.nonzero(as_tuple=True)
    if not len(row):
        raise InvspecError(
            "every target has the class of its source", hint="choose targets of more classes"
        )
    index = positions[row] * candidates.shape[1] + slot
    return PairedSplit(images, positions[row], candidates[row, slot], index)


def _shared_targets(y: Tensor, targets: Targets, classes: int) -> Tensor:
    """The targets (T,) of all sources: those given, or some drawn from each class."""
    if targets.indices:
        largest = max(targets.indices)
        if largest >= len(y):
            raise InvspecError(
                f"targets.indices has {largest}, but the split has {len(y):,} examples",
                hint=f"indices count from 0, so the last one is {len(y) - 1}",
            )
        return torch.tensor(targets.indices)
    if targets.nth_of_class is not None:
        return _nth_of_class(y, targets.nth_of_class, classes)
    order = torch.from_numpy(_generator(targets.seed).permutation(len(y)))
    return torch.cat([order[y[order] == k][: targets.per_class] for k in range(classes)])


def _nth_of_class(y: Tensor, places: Sequence[int], classes: int) -> Tensor:
    """The image of each class (K,) that has this place among those of the class."""
    if len(places) != classes:
        raise InvspecError(
            f"targets.nth_of_class has {len(places)} places, but the data have {classes} classes",
            hint="give one place for each class",
        )
    of_class = [(y == k).nonzero().squeeze(1) for k in range(classes)]
    for k, (place, positions) in enumerate(zip(places, of_class, strict=True)):
        if place >= len(positions):
            raise InvspecError(
                f"targets.nth_of_class has {place} for class {k}, of which the split has "
                f"{len(positions):,} examples",
                hint=f"places count from 0, so the last one is {len(positions) - 1}",
            )
    return torch.stack([here[place] for place, here in zip(places, of_class, strict=True)])


def _targets_per_source(positions: Tensor, y: Tensor, targets: Targets) -> Tensor:
    """Each source's own targets (S, T), of other classes; its position alone seeds the draw."""
    drawn: list[Tensor] = []
    for position in positions.tolist():
        order = torch.from_numpy(_generator(targets.seed, position).permutation(len(y)))
        drawn.append(order[y[order] != y[position]][: targets.each])
    fewest = min((len(row) for row in drawn), default=targets.each or 0)
    if fewest < (targets.each or 0):
        raise InvspecError(
            f"targets.each is {targets.each}, but a source has only {fewest} images of other "
            "classes",
            hint="lower targets.each",
        )
    return torch.stack(drawn)


def _generator(*words: int) -> np.random.Generator:
    """numpy's generator, seeded by the words."""
    text = "targets " + " ".join(map(str, words))
    seed: Sequence[int] = np.frombuffer(digest(text)[:16], dtype=np.uint32).tolist()
    return np.random.default_rng(seed)
