"""Where classifiers are wrong within planes through the centre of concentric spheres."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Examples, Scored, Split
from invspec.errors import InvspecError
from invspec.kinds import Bijective, Number
from invspec.ops.types import SHARES
from invspec.scoring.nuisance_classifier import FitsNuisanceClassifier
from invspec.scoring.pairs import READ, class_count, device_of
from invspec.scoring.rows import mean_of_pairs

Classifier = Callable[[Tensor], Tensor]  # x (B, C, H, W) to logits (B, K)
CIRCLES = ("inner", "outer")
FLAT = (
    1e-6  # of the length of a point: as far from a line through the centre as rounding may put it
)


class DecisionPlane(FitsNuisanceClassifier):
    """Share of the circles that a plane cuts out of two spheres that the net, or its nuisance classifier, misreads.

    Of two attacks the first is of the training examples, to whose clean images D_nc is fitted, and the second of pairs:
    metamers of x, which have its logits, and the nuisance of x_target. Each pair gives a plane through the centre. It
    is spanned by x and x_target, two points of the data, or by x and its metamer x_adv. Of two pairs it can happen that
    their points are on a line through the centre; these have no plane and are left out.

    A row for each classifier and circle: the share of `angles` points, equally spaced, that are not given the label of
    their sphere. It is the mean over pairs, with a bootstrap interval over sources.

    The class whose training images are shorter has the inner sphere; a sphere's radius is the mean length, which is the
    length on adversarial spheres, unless `radii` says otherwise.

    Tensors, of the first P planes: regions (P, 2, H, W) uint8, the class that each classifier gives to the points of a
    grid from -extent to extent, columns along x, rows along what is orthogonal to x, rising; extent (1,); misread
    (P, 2, 2, angles) bool, of each classifier and circle; radii and labels (2,), of the circles; point_x and
    point_target or point_metamer (P, 2), where these are in the plane.

    Raises: InvspecError where there are not two classes, where the second attack is not on pairs, where no pair spans a
    plane, and where D_nc cannot be fitted.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    hidden: int = Field(default=1000, ge=1, description="units of each of the two hidden layers")
    spanned_by: Literal["target", "metamer"] = Field(
        default="metamer", description="what spans a plane with x"
    )
    radii: tuple[Number, Number] | None = Field(
        default=None,
        description="of the inner and outer circle; default: the mean lengths of the training images",
    )
    angles: int = Field(default=1000, ge=4, description="points of each circle")
    resolution: int = Field(
        default=200, ge=2, description="points of the pictures' grids, each way"
    )
    extent: Number = Field(
        default=1.2, gt=0, description="of the pictures, in outer radii from their middle"
    )
    shown: int = Field(default=2, ge=1, description="pairs that are pictured, the first ones")

    @model_validator(mode="after")
    def _one_in_the_other(self) -> Self:
        if self.radii is not None and not 0 < self.radii[0] < self.radii[1]:
            raise ValueError(
                f"radii {list(self.radii)} are not those of an inner and an outer circle"
            )
        return self

    @property
    def accepts(self) -> type | None:
        return Bijective

    def smoke(self) -> Self:
        """Few points, by a small classifier."""
        return super().smoke().model_copy(update={"hidden": 16, "angles": 16, "resolution": 8})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, attacked = examples
        if class_count(model, train) != 2 or "source" not in attacked.judged:
            raise InvspecError(
                "planes are cut through two spheres, for each of the second attack's pairs",
                hint="of: [train, metamers], where the sample of metamers has targets",
            )
        circles = Circles.of(train.clean, self.radii)
        classifiers = {"logits": model, "nuisance": self.fit(model, train, "nuisance").logits}
        planes = list(spanned(attacked, self.spanned_by))
        if not planes:
            raise InvspecError(
                "the two points of each pair are on a line through the centre: there is no plane"
            )
        at, device = circles.points(self.angles), device_of(model)
        read = torch.stack([self._read(classifiers, plane.to(device), at) for plane in planes])
        misread = read != circles.labels[:, None]
        shares = misread.double().mean(-1).flatten(1)
        where = [
            {"classifier": name, "circle": circle} for name in classifiers for circle in CIRCLES
        ]
        sources = attacked.judged["source"][[plane.row for plane in planes]]
        rows = [
            mean_of_pairs(values, sources, SHARES, **names)
            for values, names in zip(shares.unbind(1), where, strict=True)
        ]
        shown = planes[: self.shown]
        return Scored(
            rows,
            {
                "misread": misread[: self.shown],
                **self._pictures(classifiers, shown, circles, device),
            },
        )

    def _pictures(
        self,
        classifiers: Mapping[str, Classifier],
        planes: list[Plane],
        circles: Circles,
        device: torch.device,
    ) -> dict[str, Tensor]:
        extent = self.extent * circles.radii.max()
        at = grid(self.resolution, float(extent))
        regions = torch.stack([self._read(classifiers, plane.to(device), at) for plane in planes])
        ends = torch.stack([plane.ends for plane in planes]).float()
        return {
            "regions": regions.to(torch.uint8),
            "extent": extent.view(1).float(),
            "radii": circles.radii.float(),
            "labels": circles.labels,
            "point_x": ends[:, 0],
            f"point_{self.spanned_by}": ends[:, 1],
        }

    def _read(self, classifiers: Mapping[str, Classifier], plane: Plane, at: Tensor) -> Tensor:
        """The class that each of Q classifiers gives to the points at (..., 2): (Q, ...) int64, on the CPU."""
        found = [
            predicted(classifier, plane, at.reshape(-1, 2)) for classifier in classifiers.values()
        ]
        return torch.stack(found).view(len(classifiers), *at.shape[:-1])


@torch.no_grad()
def predicted(classifier: Classifier, plane: Plane, at: Tensor) -> Tensor:
    """The class that a classifier gives to each point at (M, 2) of a plane: (M,) int64, on the CPU."""
    return torch.cat([classifier(plane.images(part)).argmax(1).cpu() for part in at.split(READ)])


# ─ planes and circles ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plane:
    """A plane through 0: basis (2, C, H, W) float64, orthonormal, and where the two points are that span it, (2, 2).

    row says which pair they are of.
    """

    row: int
    basis: Tensor
    ends: Tensor

    def images(self, at: Tensor) -> Tensor:
        """The points at (M, 2) of the plane as images (M, C, H, W) float32."""
        return torch.tensordot(at.to(self.basis), self.basis, dims=1).float()

    def to(self, device: torch.device) -> Plane:
        """The same plane, whose images come on another device."""
        return Plane(self.row, self.basis.to(device), self.ends)


def spanned(attacked: Examples, by: Literal["target", "metamer"]) -> Iterator[Plane]:
    """The plane of each pair whose points span one."""
    done = 0
    for batch, tensors in attacked.batches(READ, "x_adv"):
        others = batch.targets if by == "target" else tensors["x_adv"]
        for row, (x, other) in enumerate(
            zip(batch.x.cpu().double(), others.cpu().double(), strict=True), start=done
        ):
            basis = orthonormal(x, other)
            if basis is not None:
                ends = torch.stack([(basis * point).flatten(1).sum(1) for point in (x, other)])
                yield Plane(row, basis, ends)
        done += len(batch)


def orthonormal(x: Tensor, other: Tensor) -> Tensor | None:
    """Two directions (2, C, H, W): that of x, and that of the part of other which is orthogonal to x.

    None where the two points are on a line through 0.
    """
    length = x.norm()
    if length == 0 or other.norm() == 0:
        return None
    first = x / length
    rest = other - (other * first).sum() * first
    rest = rest - (rest * first).sum() * first  # once more, for what rounding left
    if rest.norm() <= FLAT * other.norm():
        return None
    return torch.stack([first, rest / rest.norm()])


@dataclass(frozen=True)
class Circles:
    """The circles in which a plane through 0 cuts two spheres, the inner one first: radii (2,) float64, labels (2,)."""

    radii: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: Split, radii: tuple[float, float] | None) -> Self:
        """By the mean lengths of images of two classes. Raises: InvspecError where a class has none."""
        lengths = torch.cat(
            [batch.x.double().flatten(1).norm(dim=1).cpu() for batch in images.batches(READ)]
        )
        y = images.labels().cpu()
        if len(y.unique()) != 2:
            raise InvspecError(
                f"{len(y.unique())} classes are among the training examples, not two"
            )
        means = torch.stack([lengths[y == label].mean() for label in (0, 1)])
        found, labels = means.sort()
        return cls(found if radii is None else torch.tensor(radii, dtype=torch.float64), labels)

    def points(self, count: int) -> Tensor:
        """Equally spaced points of each circle, counter-clockwise: (2, count, 2) float64."""
        turn = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
        return self.radii[:, None, None] * torch.stack([turn.cos(), turn.sin()], dim=1)


def grid(resolution: int, extent: float) -> Tensor:
    """Points (H, W, 2) float64 of a square: the first coordinate rises along W, the second along H."""
    side = torch.linspace(-extent, extent, resolution, dtype=torch.float64)
    return torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)
