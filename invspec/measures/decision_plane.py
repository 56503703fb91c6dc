"""Where classifiers err within planes through the centre of concentric spheres."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Examples, JudgedPairs, Regions, Scored, Split
from invspec.errors import InvspecError
from invspec.kinds import Bijective, Number
from invspec.ops.modules import device_of
from invspec.ops.plane import circle_points, orthonormal, square_grid
from invspec.ops.types import SHARES, Range
from invspec.scoring.nuisance_classifier import NuisanceClassifierMeasure
from invspec.scoring.pairs import BATCH_SIZE, class_count, placed_batches
from invspec.scoring.rows import mean_of_pairs

# x (B, C, H, W) to logits (B, K)
Classifier = Callable[[Tensor], Tensor]

CIRCLES = ("inner", "outer")


class DecisionPlane(NuisanceClassifierMeasure):
    """Share of two circles, where a plane cuts two spheres, that a classifier misclassifies.

    D_nc is fitted to the clean images of the first of two attacks. The second is on pairs: metamers
    with the logits of x and the nuisance of x_target. Each pair gives a plane through the centre,
    spanned by the data points x and x_target, or by x and its metamer x_adv. Pairs whose points are
    collinear with the centre span no plane and are left out.

    A row for each classifier (the net, and D_nc on its nuisance) and circle: the share of
    `angles` equally spaced points that do not get the label of their sphere. It is the mean
    over pairs, with a bootstrap interval over sources.

    The inner sphere belongs to the class whose training images have the smaller mean length. This
    mean is the sphere's radius, exactly so on adversarial spheres, unless `radii` sets it.

    Tensors, of the first P planes: regions (P, 2, H, W) uint8, the class that each classifier gives
    to the points of a grid from -extent to extent, columns along x, rows along the direction
    orthogonal to x, rising; extent (1,); misread (P, 2, 2, angles) bool, for each classifier and
    circle; radii and labels (2,) of the circles; point_x and point_target or point_metamer (P, 2),
    their coordinates in the plane.

    Raises: InvspecError where there are not two classes, where the second attack is not on
    pairs, where no pair spans a plane, and where D_nc cannot be fitted.
    """

    # Version 1 drew dropout masks from the generator of the device.
    version: ClassVar[int] = 2
    takes: ClassVar[tuple[int, int]] = (2, 2)
    figures: ClassVar[tuple[str, ...]] = ("regions",)

    hidden: int = Field(default=1000, ge=1, description="units of each of the two hidden layers")
    spanned_by: Literal["target", "metamer"] = Field(
        default="metamer", description="the point that spans the plane together with x"
    )
    radii: tuple[Number, Number] | None = Field(
        default=None,
        description="radii of the circles, inner first; default: mean lengths of training images",
    )
    angles: int = Field(default=1000, ge=4, description="number of points on each circle")
    resolution: int = Field(
        default=200, ge=2, description="grid points along each side of a picture"
    )
    extent: Number = Field(
        default=1.2,
        gt=0,
        description="half the side of a picture, as a multiple of the outer radius",
    )
    shown: int = Field(default=2, ge=1, description="number of pairs to draw, from the first")

    @model_validator(mode="after")
    def _one_in_the_other(self) -> Self:
        if self.radii is not None and not 0 < self.radii[0] < self.radii[1]:
            raise ValueError(f"expected radii with 0 < inner < outer, found {list(self.radii)}")
        return self

    @property
    def accepts(self) -> type | None:
        return Bijective

    def smoke(self) -> Self:
        """Few points."""
        return super().smoke().model_copy(update={"angles": 16, "resolution": 8})

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, attacked = examples
        if (classes := class_count(model, train)) != 2:
            raise InvspecError(
                f"expected a net with two classes, found {classes}", hint="use a spheres data set"
            )
        if not isinstance(attacked.judged, JudgedPairs):
            raise InvspecError(
                "expected a second attack on pairs, found single examples",
                hint="of: [train, metamers], where the sample of metamers has targets",
            )
        circles = Circles.of(train.clean, self.radii)
        classifiers = {"logits": model, "nuisance": self.fit(model, train, "nuisance").logits}
        planes = list(spanned(attacked, self.spanned_by))
        if not planes:
            raise InvspecError(
                "no pair spans a plane: the points of each are collinear with the centre",
                hint="widen the sample of the second attack",
            )
        at, device = circle_points(circles.radii, self.angles), device_of(model)
        labels = torch.stack([self._labels(classifiers, plane.to(device), at) for plane in planes])
        misread = labels != circles.labels[:, None]
        shares = misread.double().mean(-1).flatten(1)
        where = [
            {"classifier": name, "circle": circle} for name in classifiers for circle in CIRCLES
        ]
        sources = attacked.judged.source[[plane.row for plane in planes]]
        rows = [
            mean_of_pairs(values, sources, SHARES, **names)
            for values, names in zip(shares.unbind(1), where, strict=True)
        ]
        regions = self._regions(
            classifiers, planes[: self.shown], circles, misread[: self.shown], device
        )
        return Scored(rows, regions.tensors())

    def _regions(
        self,
        classifiers: Mapping[str, Classifier],
        planes: list[Plane],
        circles: Circles,
        misread: Tensor,
        device: torch.device,
    ) -> Regions:
        extent = self.extent * circles.radii.max()
        at = square_grid(self.resolution, float(extent))
        regions = torch.stack([self._labels(classifiers, plane.to(device), at) for plane in planes])
        ends = torch.stack([plane.ends for plane in planes]).float()
        return Regions(
            regions.to(torch.uint8),
            extent=extent.view(1).float(),
            radii=circles.radii.float(),
            labels=circles.labels,
            misread=misread,
            points={"x": ends[:, 0], self.spanned_by: ends[:, 1]},
        )

    def _labels(self, classifiers: Mapping[str, Classifier], plane: Plane, at: Tensor) -> Tensor:
        """The class that each of Q classifiers gives to the points at (..., 2).

        Returns (Q, ...) int64 on the CPU.
        """
        points = at.reshape(-1, 2)
        labels = [predicted(classifier, plane, points) for classifier in classifiers.values()]
        return torch.stack(labels).view(len(classifiers), *at.shape[:-1])


@torch.no_grad()
def predicted(classifier: Classifier, plane: Plane, at: Tensor) -> Tensor:
    """The class that a classifier gives each point at (M, 2) of a plane: (M,) int64 on the CPU."""
    return torch.cat(
        [classifier(plane.images(part)).argmax(1).cpu() for part in at.split(BATCH_SIZE)]
    )


# ─ planes and circles ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plane:
    """A plane through 0 with an orthonormal basis (2, C, H, W) float64.

    ends (2, 2) are the coordinates of the two points that span it; row is the position of their
    pair.
    """

    row: int
    basis: Tensor
    ends: Tensor

    def images(self, at: Tensor) -> Tensor:
        """The points at (M, 2) of the plane as images (M, C, H, W) float32."""
        return torch.tensordot(at.to(self.basis), self.basis, dims=1).float()

    def to(self, device: torch.device) -> Plane:
        """The same plane, with its basis on another device."""
        return Plane(self.row, self.basis.to(device), self.ends)


def spanned(attacked: Examples, by: Literal["target", "metamer"]) -> Iterator[Plane]:
    """The plane of each pair whose points span one."""
    for places, batch, tensors in placed_batches(attacked, BATCH_SIZE, "x_adv"):
        others = batch.targets if by == "target" else tensors["x_adv"]
        pairs = zip(batch.x.cpu().double(), others.cpu().double(), strict=True)
        for row, (x, other) in enumerate(pairs, start=places.start):
            basis = orthonormal(x, other)
            if basis is not None:
                ends = torch.stack([(basis * point).flatten(1).sum(1) for point in (x, other)])
                yield Plane(row, basis, ends)


@dataclass(frozen=True)
class Circles:
    """The circles that a plane through 0 cuts out of two spheres, the inner one first.

    They have radii (2,) float64 and labels (2,).
    """

    radii: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: Split, radii: tuple[float, float] | None) -> Self:
        """Circles with the mean lengths of images of two classes, or with the given radii.

        Raises: InvspecError where there are not images of two classes.
        """
        lengths = torch.cat(
            [batch.x.double().flatten(1).norm(dim=1).cpu() for batch in images.batches(BATCH_SIZE)]
        )
        y = images.labels().cpu()
        if len(y.unique()) != 2:
            raise InvspecError(
                f"expected training examples of two classes, found {len(y.unique())}",
                hint="widen the sample of the first attack",
            )
        means = torch.stack([lengths[y == label].mean() for label in (0, 1)])
        ordered, labels = means.sort()
        return cls(ordered if radii is None else torch.tensor(radii, dtype=torch.float64), labels)
