"""Angles between the subspaces in which two attacks move images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from scipy.sparse.linalg import eigsh
from scipy.stats import binom, t
from torch import Tensor, nn

from invspec.data import Examples, Matrix, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.draws import Stream
from invspec.scoring.perturbations import perturbations
from invspec.scoring.rows import estimated

# groups of the jackknife; as many as there are examples if those are fewer
GROUPS = 20

# perturbations that are held in float64
AT_ONCE = 2048

# a pixel whose deviation is less than this is constant, but for rounding
CONSTANT = 1e-6

# components with less than this share of the first one's variance are dropped
NEGLIGIBLE = 1e-10

# value, low, high
Ends = tuple[float, float, float]


class SubspaceAngle(Measure):
    """Whether two attacks, say pgd and a small random_rotation, share a few directions.

    U and V (d, k) hold the leading principal components of x_adv - x of the first and of the second
    attack, over the d pixels that are not constant in both. A row for each quantity:

        mean_squared_cosine       ||U^T V||_F^2 / k, from 0 for orthogonal subspaces to 1 for equal
        largest_cosine            max |U^T V|, over pairs of components
        largest_principal_cosine  of the two nearest directions of the subspaces
        smallest_angle            its angle, in degrees
        explained_variance_1, _2  share of each attack's variance that lies in its subspace
        random_level              k / d, the mean squared cosine expected of two random subspaces
        null_mean, null_95        mean and 95 % quantile of the mean squared cosine of random
                                  subspaces, each spanned by k normal vectors with its attack's
                                  covariance, from fixed draws

    k is smaller than `components` if an attack has fewer, as with few examples. Tensors: values
    (k, k), |U^T V|; principal_cosines (k,); explained_variance_1 and _2 (k,), cumulative.

    Intervals are those of a delete-a-group jackknife over 20 groups of examples, with Student's
    quantile, clipped to the range. They presume that the k-th component stands out from the
    next. Those of the null come from its draws. random_level is exact.

    Raises: InvspecError where one of the attacks moved nothing, or where there are fewer than 4
    examples.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    components: int = Field(default=10, ge=1, description="dimension k of each subspace")
    centre: bool = Field(default=True, description="subtract the mean perturbation first")
    draws: int = Field(
        default=200, ge=20, description="random subspaces behind null_mean and null_95"
    )

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
        clouds = [Cloud.of(delta[:, moving], self.centre) for delta in deltas]
        k = self._dimension(clouds)
        angles = Angles.between([cloud.components(k) for cloud in clouds])
        without = [
            Angles.between([cloud.components(k, group) for cloud in clouds])
            for group in range(min(GROUPS, n))
        ]
        rows = [
            *jackknifed(angles, without),
            ("random_level", (k / len(moving),) * 3),
            *summary(self._null(clouds, k)),
        ]
        return Scored(
            [estimated(value, low, high, n, quantity=name) for name, (value, low, high) in rows],
            angles.tensors(),
        )

    def _moving(self, deltas: Sequence[Tensor]) -> Tensor:
        """The pixels (d,) that are not constant under both attacks."""
        variances = torch.stack(
            # centre is a factor, 0 or 1
            [(delta - self.centre * delta.mean(0)).square().mean(0) for delta in deltas]
        )
        if bool((variances <= CONSTANT**2).all(dim=1).any()):
            raise InvspecError(
                "expected perturbations that differ, found equal ones for one attack",
                hint="raise its budget above 0",
            )
        return (variances > CONSTANT**2).any(dim=0).nonzero().squeeze(1)

    def _dimension(self, clouds: Sequence[Cloud]) -> int:
        """k: the most components that both attacks have without any one group of examples."""
        fewest = min(len(cloud.rows) - math.ceil(len(cloud.rows) / GROUPS) for cloud in clouds)
        # n centred perturbations span at most n - 1 dimensions
        wanted = min(self.components, fewest - 1, *(cloud.rows.shape[1] for cloud in clouds))
        values = [cloud.components(wanted).values for cloud in clouds]
        return min(int((variances > NEGLIGIBLE * variances[0]).sum()) for variances in values)

    def _null(self, clouds: Sequence[Cloud], k: int) -> Tensor:
        """Mean squared cosines (draws,) of random subspaces of each attack's covariance."""
        first, second = (
            cloud.random_bases(self.draws, k, Stream(f"subspace_angle/{number}"))
            for number, cloud in enumerate(clouds)
        )
        return (first.mT @ second).square().sum(dim=(1, 2)) / k


@dataclass(frozen=True)
class Components:
    """The leading k principal components in order: vectors (d, k) and values (k,), their variances.

    variance is that of all components.
    """

    vectors: Tensor
    values: Tensor
    variance: float

    @property
    def explained(self) -> Tensor:
        """Share of the variance in the first 1, 2, ..., k components, (k,)."""
        return (self.values.cumsum(0) / self.variance).clamp(max=1)


@dataclass(frozen=True)
class Scatter:
    """Sums over n vectors in float64: total (m,), and outer (m, m) of their outer products."""

    n: int
    total: Tensor
    outer: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> Self:
        """The sums over the rows of vectors (n, m)."""
        m = vectors.shape[1]
        total, outer = torch.zeros(m, dtype=torch.float64), torch.zeros(m, m, dtype=torch.float64)
        for rows in vectors.split(AT_ONCE):
            total += rows.double().sum(dim=0)
            outer.addmm_(rows.double().T, rows.double())
        return cls(len(vectors), total, outer)

    def less(self, other: Scatter) -> Scatter:
        """The sums without the vectors of another scatter."""
        return Scatter(self.n - other.n, self.total - other.total, self.outer - other.outer)

    def covariance(self, centre: bool) -> Tensor:
        """The covariance (m, m), about the mean or, without centre, about 0."""
        mean = self.total / self.n
        return self.outer / self.n - torch.outer(mean, mean) if centre else self.outer / self.n


@dataclass(frozen=True)
class Cloud:
    """One attack's perturbations: rows (n, m), coordinates in an orthonormal basis (d, m).

    The basis spans the rows if there are fewer of them than pixels, which makes the rest
    cheaper. Else it is None, and the rows are in pixels.
    """

    rows: Tensor
    basis: Tensor | None
    scatter: Scatter
    centre: bool

    @classmethod
    def of(cls, delta: Tensor, centre: bool) -> Self:
        """The cloud of perturbations (n, d)."""
        n, d = delta.shape
        if n >= d:
            return cls(delta, None, Scatter.of(delta), centre)
        basis, coordinates = torch.linalg.qr(delta.double().T)
        return cls(coordinates.T, basis, Scatter.of(coordinates.T), centre)

    def components(self, k: int, without: int | None = None) -> Components:
        """The leading k components, of all perturbations or without one group.

        A group takes every GROUPS-th example, so that it has all classes.
        """
        group = self.rows[:0] if without is None else self.rows[without::GROUPS]
        covariance = self.scatter.less(Scatter.of(group)).covariance(self.centre)
        values, vectors = leading(covariance, k)
        return Components(self._in_pixels(vectors), values.clamp(min=0), covariance.trace().item())

    def random_bases(self, draws: int, k: int, rng: Stream) -> Tensor:
        """Orthonormal bases (draws, d, k) of random subspaces.

        They are spanned by normal mixtures of the perturbations, which have exactly their
        covariance.
        """
        mean = self.centre * self.scatter.total / self.scatter.n
        mixed = torch.zeros(draws * k, self.rows.shape[1], dtype=torch.float64)
        for rows in self.rows.split(AT_ONCE):
            mixed += rng.normal((len(mixed), len(rows))).double() @ (rows.double() - mean)
        return torch.linalg.qr(self._in_pixels(mixed.T).T.reshape(draws, k, -1).mT).Q

    def _in_pixels(self, vectors: Tensor) -> Tensor:
        """From coordinates (m, anything) to pixels (d, anything)."""
        return vectors if self.basis is None else self.basis @ vectors


def leading(matrix: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest eigenvalues (k,), falling, and eigenvectors (m, k) of a symmetric (m, m).

    If k is small beside m, Lanczos iterations take a tenth of the time.
    """
    m = len(matrix)
    if m <= 8 * k:
        values, vectors = (part[..., -k:] for part in torch.linalg.eigh(matrix))
    else:
        # without a start, ARPACK draws from numpy's global state
        start = np.random.default_rng(0).standard_normal(m)
        values, vectors = map(torch.from_numpy, eigsh(matrix.numpy(), k, v0=start))
    order = values.argsort(descending=True)
    return values[order], vectors[:, order]


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
        principal = torch.linalg.svdvals(products).clamp(max=1)
        return cls(products.abs().clamp(max=1), principal, (first.explained, second.explained))

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a score, in float32: the cosines for a heatmap, and more to look up."""
        first, second = self.explained
        tensors = {
            **Matrix(self.cosines).tensors(),
            "principal_cosines": self.principal,
            "explained_variance_1": first,
            "explained_variance_2": second,
        }
        return {name: tensor.float() for name, tensor in tensors.items()}


SHARES: dict[str, Callable[[Angles], Tensor]] = {
    "mean_squared_cosine": lambda angles: angles.principal.square().mean(),
    "largest_cosine": lambda angles: angles.cosines.max(),
    "largest_principal_cosine": lambda angles: angles.principal[0],
    "explained_variance_1": lambda angles: angles.explained[0][-1],
    "explained_variance_2": lambda angles: angles.explained[1][-1],
}


def jackknifed(angles: Angles, without: Sequence[Angles]) -> list[tuple[str, Ends]]:
    """Each quantity with its interval, from the angles without each group of examples."""
    rows = {
        name: jackknife(read(angles).item(), [read(reduced).item() for reduced in without])
        for name, read in SHARES.items()
    }
    value, low, high = (
        math.degrees(math.acos(cosine)) for cosine in rows["largest_principal_cosine"]
    )
    # the angle falls where its cosine rises, so the ends change places
    return [*rows.items(), ("smallest_angle", (value, high, low))]


def jackknife(value: float, without: Sequence[float]) -> Ends:
    """A number in [0, 1] with its 95 % interval, from its values without each of g groups."""
    g = len(without)
    # (g - 1) / g times the sum of squares about the mean
    error = math.sqrt((g - 1) * float(np.var(without)))
    half = float(t.ppf(0.975, g - 1)) * error
    return value, max(0.0, value - half), min(1.0, value + half)


def summary(null: Tensor) -> list[tuple[str, Ends]]:
    """Mean and 95 % quantile of draws (R,), with the intervals that this number of draws leaves."""
    ordered, count = null.sort().values, len(null)
    mean, half = ordered.mean().item(), 1.96 * ordered.std().item() / math.sqrt(count)
    # the order statistics that enclose the 95 % quantile with 95 % probability
    ranks = [int(binom.ppf(q, count, 0.95)) for q in (0.025, 0.975)]
    low, high = (ordered[min(rank, count - 1)].item() for rank in ranks)
    quantile = ordered.quantile(0.95).item()
    return [
        ("null_mean", (mean, mean - half, mean + half)),
        ("null_95", (quantile, min(low, quantile), max(high, quantile))),
    ]
