"""Angles between the subspaces in which two attacks move images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Matrix, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.draws import Stream
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.scoring.components import Cloud, Components
from invspec.scoring.jackknife import GROUPS, Estimate, jackknife, mean_and_quantile
from invspec.scoring.perturbations import perturbations
from invspec.scoring.rows import estimated

# a pixel with a smaller deviation is constant up to rounding
CONSTANT = 1e-6

# components with less than this share of the first one's variance are dropped
NEGLIGIBLE = 1e-10


class SubspaceAngle(Measure):
    """Whether two attacks, say pgd and a small random_rotation, move images in a shared subspace.

    U and V (d, k) hold the leading principal components of x_adv - x of the first and of the second
    attack, over the pixels that are not constant under both. A row for each quantity:

        mean_squared_cosine       ||U^T V||_F^2 / k, from 0 for orthogonal subspaces to 1 for equal
        largest_cosine            max |U^T V|, over pairs of components
        largest_principal_cosine  cosine of the smallest angle between the subspaces
        smallest_angle            that angle, in degrees
        explained_variance_1, _2  share of each attack's variance within its subspace
        random_level              the mean squared cosine expected of two random subspaces of the
                                  pixels that each attack moves: k s / (d_1 d_2), where they move
                                  d_1 and d_2 pixels and share s; k / d if they move the same d
        random_largest            mean largest cosine of orthonormal bases of such subspaces
        null_mean, null_95        mean and 95 % quantile of the mean squared cosine of random
                                  subspaces, each spanned by k normal vectors with its attack's
                                  covariance
        null_largest_mean, _95    the same of the largest cosine, of orthonormal bases of these

    k is smaller than `components` if an attack has fewer components, as with few examples. Tensors:
    values (k, k), |U^T V|; principal_cosines (k,); explained_variance_1 and _2 (k,), cumulative.

    Intervals are those of a delete-a-group jackknife over 20 groups of examples, with Student's
    quantile, clipped to the range. They assume a clear gap between the variances of the k-th
    component and the next. Random subspaces are from fixed draws, as are the intervals of their
    quantities; random_level is exact.

    Raises: InvspecError where all perturbations of an attack are equal, or where there are fewer
    than 4 examples.
    """

    # version 1 had a random_level of k / d, and no largest cosines of random subspaces
    version: ClassVar[int] = 2
    takes: ClassVar[tuple[int, int]] = (2, 2)
    wants_model: ClassVar[bool] = False
    figures: ClassVar[tuple[str, ...]] = ("heatmap",)

    components: int = Field(default=10, ge=1, description="dimension k of each subspace")
    centre: bool = Field(default=True, description="subtract the mean perturbation first")
    draws: int = Field(default=200, ge=20, description="number of pairs of random subspaces")

    def range_of(self, quantity: str = "") -> Range:
        if not quantity:
            return MAGNITUDES
        return (0.0, 90.0) if quantity == "smallest_angle" else SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        deltas = [
            torch.cat([delta.flatten(1) for delta in perturbations(attacked)])
            for attacked in examples
        ]
        n = min(map(len, deltas))
        if n < 4:
            raise InvspecError(
                f"expected at least 4 perturbations, found {n}", hint="widen the sample"
            )
        moving = self._moving(deltas)
        moved = moving.any(dim=0)
        clouds = [Cloud.of(delta[:, moved], self.centre) for delta in deltas]
        k = self._dimension(clouds)
        angles = Angles.between([cloud.components(k) for cloud in clouds])
        without = [
            Angles.between([cloud.components(k, group) for cloud in clouds])
            for group in range(min(GROUPS, n))
        ]
        first, second = moving.sum(dim=1).tolist()
        shared = int(moving.all(dim=0).sum())
        null = self._null(clouds, k)
        null_mean, null_95 = mean_and_quantile(mean_squared(null))
        largest_mean, largest_95 = mean_and_quantile(largest(null))
        random_largest, _ = mean_and_quantile(largest(self._random(moving, k)))
        rows = [
            *jackknifed(angles, without),
            ("random_level", (k * shared / (first * second),) * 3),
            ("random_largest", random_largest),
            ("null_mean", null_mean),
            ("null_95", null_95),
            ("null_largest_mean", largest_mean),
            ("null_largest_95", largest_95),
        ]
        return Scored(
            [estimated(value, low, high, n, quantity=name) for name, (value, low, high) in rows],
            angles.tensors(),
        )

    def _moving(self, deltas: Sequence[Tensor]) -> Tensor:
        """Which pixels each attack moves, not all by the same: (2, D) bool."""
        variances = torch.stack(
            # centre is a factor, 0 or 1
            [(delta - self.centre * delta.mean(0)).square().mean(0) for delta in deltas]
        )
        if bool((variances <= CONSTANT**2).all(dim=1).any()):
            raise InvspecError(
                "expected perturbations that differ, found equal ones for one attack",
                hint="raise its budget above 0",
            )
        return variances > CONSTANT**2

    def _dimension(self, clouds: Sequence[Cloud]) -> int:
        """k, the number of components that both attacks have whichever group is left out."""
        fewest = min(len(cloud.rows) - math.ceil(len(cloud.rows) / GROUPS) for cloud in clouds)
        # n centred perturbations span at most n - 1 dimensions
        wanted = min(self.components, fewest - 1, *(cloud.rows.shape[1] for cloud in clouds))
        values = [cloud.components(wanted).values for cloud in clouds]
        return min(int((variances > NEGLIGIBLE * variances[0]).sum()) for variances in values)

    def _null(self, clouds: Sequence[Cloud], k: int) -> Tensor:
        """Cosines (draws, k, k) between random subspaces of each attack's covariance."""
        first, second = (
            cloud.random_bases(self.draws, k, Stream(f"subspace_angle/{number}"))
            for number, cloud in enumerate(clouds)
        )
        return first.mT @ second

    def _random(self, moving: Tensor, k: int) -> Tensor:
        """Cosines (draws, k, k) between random subspaces of the pixels (2, D) that each moves."""
        bases = []
        for number, pixels in enumerate(moving.cpu()):
            rng = Stream(f"subspace_angle/random/{number}")
            vectors = rng.normal((self.draws, int(pixels.sum()), k)).double()
            basis = vectors.new_zeros(self.draws, len(pixels), k)
            basis[:, pixels] = torch.linalg.qr(vectors).Q
            bases.append(basis)
        first, second = bases
        return first.mT @ second


def mean_squared(cosines: Tensor) -> Tensor:
    """||U^T V||_F^2 / k of each U^T V (draws, k, k): (draws,)."""
    return cosines.square().sum(dim=(1, 2)) / cosines.shape[-1]


def largest(cosines: Tensor) -> Tensor:
    """The largest of the cosines (draws, k, k) of each draw, by magnitude: (draws,)."""
    return cosines.abs().amax(dim=(1, 2))


@dataclass(frozen=True)
class Angles:
    """The angles between two sets of k components: cosines (k, k), and principal cosines (k,)."""

    cosines: Tensor
    principal: Tensor
    explained: tuple[Tensor, Tensor]

    @classmethod
    def between(cls, pair: Sequence[Components]) -> Self:
        """The angles between the first components and the second."""
        first, second = pair
        products = first.vectors.T @ second.vectors
        # the singular values of U^T V are the cosines of the principal angles
        principal = torch.linalg.svdvals(products).clamp(max=1)
        return cls(products.abs().clamp(max=1), principal, (first.explained, second.explained))

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a score, in float32: the cosines for a heatmap, and details."""
        first, second = self.explained
        tensors = {
            **Matrix(self.cosines).tensors(),
            "principal_cosines": self.principal,
            "explained_variance_1": first,
            "explained_variance_2": second,
        }
        return {name: tensor.float() for name, tensor in tensors.items()}


# quantities in [0, 1], each with a jackknife interval
QUANTITIES: dict[str, Callable[[Angles], Tensor]] = {
    "mean_squared_cosine": lambda angles: angles.principal.square().mean(),
    "largest_cosine": lambda angles: angles.cosines.max(),
    "largest_principal_cosine": lambda angles: angles.principal[0],
    "explained_variance_1": lambda angles: angles.explained[0][-1],
    "explained_variance_2": lambda angles: angles.explained[1][-1],
}


def jackknifed(angles: Angles, without: Sequence[Angles]) -> list[tuple[str, Estimate]]:
    """Each quantity with its interval, from the angles without each group of examples."""
    rows = {
        name: jackknife(read(angles).item(), [read(reduced).item() for reduced in without])
        for name, read in QUANTITIES.items()
    }
    value, low, high = (
        math.degrees(math.acos(cosine)) for cosine in rows["largest_principal_cosine"]
    )
    # the angle falls as its cosine rises, so the ends swap
    return [*rows.items(), ("smallest_angle", (value, high, low))]
