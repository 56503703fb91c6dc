"""The class around an image, in the plane of an adversarial image and of the end of a walk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, JudgedPairs, Regions, Scored
from invspec.errors import InvspecError
from invspec.kinds import Number
from invspec.ops.modules import device_of
from invspec.ops.plane import circle_points, orthonormal, square_grid
from invspec.ops.types import SHARES, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, eligible, placed_batches
from invspec.scoring.rows import mean_of_pairs

CIRCLES = ("attacked", "walked")


class SourcePlane(PairMeasure):
    """Share of two circles around a source that the model gives another class than the source.

    Two attacks on the same pairs span a plane through each source: the first leads to an
    adversarial image next to it, the second walks to a distant image of the same class. A circle
    goes through each of the two images. Where the share on the circle of the attack is small, the
    wrong class is an island; where it is below 1 on the circle of the walk, a branch of the
    source's class leads to it. Points may leave the pixel range. Pairs whose two images are on a
    line with the source span no plane and are left out.

    A row for each circle, attacked and walked: the mean over pairs of the share of `angles` equally
    spaced points, with a bootstrap interval over sources and targets.

    Tensors, of the first pair that counts: regions (1, 1, H, W) uint8, the class of the points of a
    grid from -extent to extent around the source, columns along the attack's perturbation; extent
    (1,); radii (2,) of the circles; labels (2,), the class of the source; misread (1, 1, 2, angles)
    bool; point_attacked and point_walked (1, 2), their coordinates in the plane.

    Raises: InvspecError where the attacks are not on the same pairs, where no pair is eligible, and
        where no pair spans a plane.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)
    figures: ClassVar[tuple[str, ...]] = ("regions",)

    angles: int = Field(default=360, ge=4, description="number of points on each circle")
    resolution: int = Field(default=120, ge=2, description="grid points along a side of a picture")
    extent: Number = Field(
        default=1.2, gt=0, description="half the side of a picture, relative to the larger circle"
    )

    def smoke(self) -> Self:
        """Few points."""
        return super().smoke().model_copy(update={"angles": 8, "resolution": 8})

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        attacked, walked = examples
        pairs = _same_pairs(attacked, walked)
        counting = eligible(walked, self.eligible)
        planes = [plane for plane in _planes(attacked, walked) if counting[plane.row]]
        if not planes:
            raise InvspecError(
                "no pair spans a plane: the images of both attacks are on a line with the source",
                hint="use an attack that moves images, and a walk, on a wider sample",
            )
        misread = torch.stack([self._misread(model, plane, pairs) for plane in planes])
        counted = pairs.take(torch.tensor([plane.row for plane in planes]))
        shares = misread.double().mean(-1)
        rows = [
            mean_of_pairs(column, counted, SHARES, classifier="net", circle=circle)
            for circle, column in zip(CIRCLES, shares.unbind(1), strict=True)
        ]
        return Scored(rows, self._regions(model, planes[0], misread[0], pairs).tensors())

    def _misread(self, model: nn.Module, plane: Plane, pairs: JudgedPairs) -> Tensor:
        """Which points of both circles have another class than the source, (2, angles) bool."""
        labels = _labels(model, plane, circle_points(plane.radii, self.angles))
        return labels != pairs.prediction[plane.row].cpu()

    def _regions(
        self, model: nn.Module, plane: Plane, misread: Tensor, pairs: JudgedPairs
    ) -> Regions:
        extent = self.extent * plane.radii.max()
        regions = _labels(model, plane, square_grid(self.resolution, float(extent)))
        ends = plane.ends.float()
        return Regions(
            regions.to(torch.uint8)[None, None],
            extent=extent.view(1).float(),
            radii=plane.radii.float(),
            labels=pairs.prediction[plane.row].cpu().expand(2).clone(),
            misread=misread[None, None],
            points={name: ends[None, place] for place, name in enumerate(CIRCLES)},
        )


@dataclass(frozen=True)
class Plane:
    """A plane through a source x (C, H, W) with an orthonormal basis (2, C, H, W), both float64.

    ends (2, 2) are the coordinates of the attacked and the walked image; row is the position of the
    pair.
    """

    row: int
    x: Tensor
    basis: Tensor
    ends: Tensor

    @property
    def radii(self) -> Tensor:
        """The lengths (2,) of both perturbations."""
        return self.ends.norm(dim=1)


def _same_pairs(attacked: Examples, walked: Examples) -> JudgedPairs:
    """The judged columns of the walk. Raises InvspecError if the attacks ran on other pairs."""
    near, far = attacked.judged, walked.judged
    if (
        isinstance(near, JudgedPairs)
        and isinstance(far, JudgedPairs)
        and torch.equal(near.source, far.source)
        and torch.equal(near.target, far.target)
        and attacked.is_transformed_as(walked)
    ):
        return far
    raise InvspecError(
        "the two attacks ran on different examples",
        hint="give both the same sample with targets, and equal `before`",
    )


def _planes(attacked: Examples, walked: Examples) -> Iterator[Plane]:
    """The plane of each pair whose images span one."""
    near = attacked.batches(BATCH_SIZE, "x_adv")
    for (places, batch, ends), (_, others) in zip(
        placed_batches(walked, BATCH_SIZE, "x_adv"), near, strict=True
    ):
        images = (batch.x, others["x_adv"], ends["x_adv"])
        triples = zip(*(image.cpu().double() for image in images), strict=True)
        for row, (x, x_adv, x_walked) in enumerate(triples, start=places.start):
            moves = torch.stack([x_adv - x, x_walked - x])
            basis = orthonormal(*moves)
            if basis is not None:
                yield Plane(row, x, basis, moves.flatten(1) @ basis.flatten(1).mT)


@torch.no_grad()
def _labels(model: nn.Module, plane: Plane, at: Tensor) -> Tensor:
    """The class of the points at (..., 2) of a plane, (...) int64 on the CPU."""
    device, labels = device_of(model), list[Tensor]()
    for points in at.reshape(-1, 2).split(BATCH_SIZE):
        images = (plane.x + torch.tensordot(points, plane.basis, dims=1)).float()
        labels.append(model(images.to(device)).argmax(1).cpu())
    return torch.cat(labels).view(at.shape[:-1])
