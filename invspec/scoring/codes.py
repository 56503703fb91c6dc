"""Splits of codes of images, to which classifiers of codes are fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from invspec.data import Batch, IndexedSplit, Split, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Bijective
from invspec.ops.draws import Stream
from invspec.ops.modules import device_of
from invspec.ops.types import REALS, Bounds
from invspec.scoring.pairs import BATCH_SIZE

Features = Literal["nuisance", "semantic", "all", "pixels"]


# x (B, C, H, W) to (B, d, 1, 1), or to other images, in float32 and on the device of the net
Code = Callable[[Tensor], Tensor]

# largest number of code entries held in memory, 1 GiB; more are recomputed in each pass
MAX_HELD = 2**28

# a dimension with a deviation below this share of the largest one varies by rounding alone
NEGLIGIBLE = 1e-6


def code(model: nn.Module, features: Features) -> Code:
    """The function from images to the classifier's input: parts of the code, or the pixels."""
    device = device_of(model)

    @torch.no_grad()
    def read(x: Tensor) -> Tensor:
        if features == "pixels":
            input_ = x.to(device)
        else:
            semantic, nuisance = cast(Bijective, model).encode(x.to(device))
            both = torch.cat([semantic.flatten(1), nuisance.flatten(1)], dim=1)
            input_ = {"semantic": semantic, "nuisance": nuisance, "all": both}[features]
        # (B, d, 1, 1), because a split holds images
        return input_.flatten(1).float()[:, :, None, None]

    return read


def image_of(model: nn.Module, features: Features, train: Split) -> Code:
    """The function from images to images (B, C, H, W) that show nothing but the features.

    Of the code, the part that is not among the features is replaced by its mean over training
    images; the image is the one with that code. It is a function of the features and holds all of
    their information. A classifier may read from it what it cannot read from their numbers, because
    it is an image.
    """
    device = device_of(model)
    if features in ("pixels", "all"):
        # the whole code belongs to the image itself
        return lambda x: x.to(device).float()
    net = cast(Bijective, model)
    other: Features = "semantic" if features == "nuisance" else "nuisance"
    mean = _mean(Encoded(train, code(model, other)), lambda z: z).float()

    @torch.no_grad()
    def show(x: Tensor) -> Tensor:
        semantic, nuisance = net.encode(x.to(device))
        constant = mean.to(semantic.dtype).expand(len(x), -1)
        if features == "nuisance":
            return net.decode(constant, nuisance).float()
        return net.decode(semantic, constant).float()

    return show


@dataclass(frozen=True)
class Encoded(IndexedSplit):
    """A split whose x (B, d, 1, 1) are the codes of its images, computed in every pass.

    Codes are on the net's device; `to` moves the labels. A code may have any value.
    """

    images: Split
    code: Code
    bounds: Bounds = REALS
    index: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", self.images.index)

    def take(self, positions: Tensor) -> Encoded:
        """The examples at positions (M,), which keep their index."""
        return replace(self, images=self.images.take(positions))

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.images.labels()

    def to(self, device: torch.device | str) -> Encoded:
        """The same examples with their labels on another device."""
        return replace(self, images=self.images.to(device))

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in the order of the images."""
        return self._encoded(self.images.batches(size, shuffle))

    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The batch at each chunk of positions."""
        for positions in chunks:
            size = max(len(positions), 1)
            yield from self._encoded(self.images.take(positions).batches(size))

    def _encoded(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            x = self.code(batch.x)
            yield Batch(x, batch.y.to(x.device), batch.index, self.bounds)


def in_memory(codes: Encoded) -> Split:
    """The same codes, held in memory if they have at most MAX_HELD entries."""
    (first,) = codes.head(1).batches(1)
    if len(codes) * first.x.numel() > MAX_HELD:
        return codes
    parts = [(batch.x, batch.y) for batch in codes.batches(BATCH_SIZE)]
    x, y = (torch.cat(column) for column in zip(*parts, strict=True))
    return TensorSplit(x, y, bounds=REALS, index=codes.index)


def moments(codes: Split) -> tuple[Tensor, Tensor]:
    """Mean and scale (d,) of codes, float32.

    The scale of a dimension is its deviation or, if it is constant, the largest deviation.

    Raises: InvspecError where codes are not finite.
    """
    mean = _mean(codes, lambda z: z)
    # a second pass: the mean of the squares minus the squared mean would cancel
    deviation = _mean(codes, lambda z: (z - mean).square()).sqrt()
    if not deviation.isfinite().all():
        raise InvspecError(
            "the codes of some training images are not finite",
            hint="check that the net's training was stable",
        )
    # if all codes are equal, 1, so that nothing is divided by 0
    largest = deviation.max().where(deviation.max() > 0, 1)
    return mean.float(), deviation.where(deviation > NEGLIGIBLE * largest, largest).float()


def _mean(codes: Split, function: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over examples, in float64, of a function of codes z (B, d)."""
    sums = [function(batch.x.flatten(1).double()).sum(0) for batch in codes.batches(BATCH_SIZE)]
    return torch.stack(sums).sum(0) / len(codes)
