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

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.draws import Stream
from invspec.scoring.perturbations import perturbations
from invspec.scoring.rows import estimated

GROUPS = 20  # of the jackknife, as many as there are examples where those are fewer
AT_ONCE = 2048  # perturbations that are held in float64
CONSTANT = 1e-6  # deviation, in pixels, below which a pixel counts as constant: rounding
NEGLIGIBLE = 1e-10  # variance of a component relative to the first's: no component at all


class SubspaceAngle(Measure):
    """Whether two attacks, say pgd and a small random_rotation, move images in the same few directions.

    U and V (d, k) hold the leading principal components of x_adv - x of the first and of the second attack, over the d
    pixels that are not constant in both. A row for each quantity:

        mean_squared_cosine       ||U^T V||_F^2 / k, from 0 for orthogonal subspaces to 1 for equal ones
        largest_cosine            max |U^T V|, over pairs of components
        largest_principal_cosine  of the two nearest directions of the subspaces
        smallest_angle            its angle, in degrees
        explained_variance_1, _2  share of each attack's variance that lies in its subspace
        random_level              k / d, the mean squared cosine expected of two random subspaces
        null_mean, null_95        mean and 95 % quantile of the mean squared cosine of random subspaces, each spanned by
                                  k normal vectors of its attack's own covariance; of fixed draws

    k is smaller than `components` where an attack has fewer, as with few examples. Tensors: cosines (k, k), |U^T V|;
    principal_cosines (k,); explained_variance_1 and _2 (k,), cumulative.

    Intervals are those of a delete-a-group jackknife over 20 groups of examples, with Student's quantile and cut off at
    the ends of the range; it presumes that the k-th component stands out from the next. Those of the null come from its
    draws. random_level is exact.

    Raises: InvspecError where one of the attacks moved nothing, or where there are fewer than 4 examples.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    components: int = Field(default=10, ge=1, description="dimension k of each subspace")
    centre: bool = Field(default=True, description="subtract the mean perturbation first")
    draws: int = Field(
        default=200, ge=20, description="random subspaces behind null_mean and null_95"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        deltas = [torch.cat([delta.flatten(1) for delta in perturbations(one)]) for one in examples]
        n = min(map(len, deltas))
        if n < 4:
            raise InvspecError(
                f"{n} perturbations span no subspace worth an angle", hint="widen the sample"
            )
        moving = self._moving(deltas)
        clouds = [Cloud.of(delta[:, moving], self.centre) for delta in deltas]
        k = self._dimension(clouds)
        found = Angles.between([cloud.components(k) for cloud in clouds])
        without = [
            Angles.between([one.components(k, group) for one in clouds])
            for group in range(min(GROUPS, n))
        ]
        rows = [
            *jackknifed(found, without),
            ("random_level", (k / len(moving),) * 3),
            *summary(self._null(clouds, k)),
        ]
        return Scored(
            [estimated(value, low, high, n, quantity=name) for name, (value, low, high) in rows],
            found.tensors(),
        )

    def _moving(self, deltas: Sequence[Tensor]) -> Tensor:
        """The pixels (d,) that are not constant under both attacks."""
        variances = torch.stack(
            [(delta - self.centre * delta.mean(0)).square().mean(0) for delta in deltas]
        )
        if bool((variances <= CONSTANT**2).all(dim=1).any()):
            raise InvspecError(
                "all perturbations of an attack are alike", hint="its budget must be more than 0"
            )
        return (variances > CONSTANT**2).any(dim=0).nonzero().squeeze(1)

    def _dimension(self, clouds: Sequence[Cloud]) -> int:
        """k: at most what both attacks have, whichever group of examples is left out."""
        fewest = min(len(cloud.rows) - math.ceil(len(cloud.rows) / GROUPS) for cloud in clouds)
        wanted = min(self.components, fewest - 1, *(cloud.rows.shape[1] for cloud in clouds))
        values = [cloud.components(wanted).values for cloud in clouds]
        return min(int((each > NEGLIGIBLE * each[0]).sum()) for each in values)

    def _null(self, clouds: Sequence[Cloud], k: int) -> Tensor:
        """Mean squared cosines (draws,) of random subspaces of each attack's covariance."""
        first, second = (
            cloud.random_bases(self.draws, k, Stream(f"subspace_angle/{number}"))
            for number, cloud in enumerate(clouds)
        )
        return (first.mT @ second).square().sum(dim=(1, 2)) / k


@dataclass(frozen=True)
class Components:
    """The leading k principal components, the first one first: vectors (d, k), their variances (k,), that of all."""

    vectors: Tensor
    values: Tensor
    variance: float

    @property
    def explained(self) -> Tensor:
        """Share of the variance in the first 1, 2, ..., k components, (k,)."""
        return (self.values.cumsum(0) / self.variance).clamp(max=1)


@dataclass(frozen=True)
class Scatter:
    """Sums over n vectors, in float64: of the vectors, total (m,), and of their outer products, outer (m, m)."""

    n: int
    total: Tensor
    outer: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> Self:
        """Of the rows of vectors (n, m)."""
        m = vectors.shape[1]
        total, outer = torch.zeros(m, dtype=torch.float64), torch.zeros(m, m, dtype=torch.float64)
        for rows in vectors.split(AT_ONCE):
            total += rows.double().sum(dim=0)
            outer.addmm_(rows.double().T, rows.double())
        return cls(len(vectors), total, outer)

    def less(self, other: Scatter) -> Scatter:
        """Without the vectors of another one."""
        return Scatter(self.n - other.n, self.total - other.total, self.outer - other.outer)

    def covariance(self, centre: bool) -> Tensor:
        """(m, m); about 0 instead of the mean unless centre."""
        mean = self.total / self.n
        return self.outer / self.n - torch.outer(mean, mean) if centre else self.outer / self.n


@dataclass(frozen=True)
class Cloud:
    """One attack's perturbations: rows (n, m), their coordinates in an orthonormal basis (d, m), or in pixels (None).

    A basis of what the rows span is there where they are fewer than pixels; it makes all that follows cheaper.
    """

    rows: Tensor
    basis: Tensor | None
    scatter: Scatter
    centre: bool

    @classmethod
    def of(cls, delta: Tensor, centre: bool) -> Self:
        """Of perturbations (n, d)."""
        n, d = delta.shape
        if n >= d:
            return cls(delta, None, Scatter.of(delta), centre)
        basis, coordinates = torch.linalg.qr(delta.double().T)
        return cls(coordinates.T, basis, Scatter.of(coordinates.T), centre)

    def components(self, k: int, without: int | None = None) -> Components:
        """The leading k, of all perturbations or without one group; groups take turns, so that each has all classes."""
        group = self.rows[:0] if without is None else self.rows[without::GROUPS]
        covariance = self.scatter.less(Scatter.of(group)).covariance(self.centre)
        values, vectors = leading(covariance, k)
        return Components(self._in_pixels(vectors), values.clamp(min=0), covariance.trace().item())

    def random_bases(self, draws: int, k: int, rng: Stream) -> Tensor:
        """Orthonormal bases (draws, d, k): normal mixtures of the perturbations have exactly their covariance."""
        mean = self.centre * self.scatter.total / self.scatter.n
        mixed = torch.zeros(draws * k, self.rows.shape[1], dtype=torch.float64)
        for rows in self.rows.split(AT_ONCE):
            mixed += rng.normal((len(mixed), len(rows))).double() @ (rows.double() - mean)
        return torch.linalg.qr(self._in_pixels(mixed.T).T.reshape(draws, k, -1).mT).Q

    def _in_pixels(self, vectors: Tensor) -> Tensor:
        """(m, anything) to (d, anything)."""
        return vectors if self.basis is None else self.basis @ vectors


def leading(matrix: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest eigenvalues, falling, of a symmetric matrix (m, m), and their eigenvectors (m, k).

    Lanczos iterations where k is small beside m: a tenth of the time.
    """
    m = len(matrix)
    if m <= 8 * k:
        values, vectors = (part[..., -k:] for part in torch.linalg.eigh(matrix))
    else:
        start = np.random.default_rng(0).standard_normal(
            m
        )  # or ARPACK draws from numpy's global state
        values, vectors = map(torch.from_numpy, eigsh(matrix.numpy(), k, v0=start))
    order = values.argsort(descending=True)
    return values[order], vectors[:, order]


@dataclass(frozen=True)
class Angles:
    """How two sets of k components lie: cosines (k, k) between them, those of the principal angles (k,)."""

    cosines: Tensor
    principal: Tensor
    explained: tuple[Tensor, Tensor]

    @classmethod
    def between(cls, pair: Sequence[Components]) -> Self:
        """Of the first components to the second."""
        first, second = pair
        products = first.vectors.T @ second.vectors
        principal = torch.linalg.svdvals(products).clamp(max=1)
        return cls(products.abs().clamp(max=1), principal, (first.explained, second.explained))

    def tensors(self) -> dict[str, Tensor]:
        """What figures show, in float32."""
        first, second = self.explained
        kept = {
            "cosines": self.cosines,
            "principal_cosines": self.principal,
            "explained_variance_1": first,
            "explained_variance_2": second,
        }
        return {name: tensor.float() for name, tensor in kept.items()}


SHARES: dict[str, Callable[[Angles], Tensor]] = {
    "mean_squared_cosine": lambda angles: angles.principal.square().mean(),
    "largest_cosine": lambda angles: angles.cosines.max(),
    "largest_principal_cosine": lambda angles: angles.principal[0],
    "explained_variance_1": lambda angles: angles.explained[0][-1],
    "explained_variance_2": lambda angles: angles.explained[1][-1],
}

Interval = tuple[float, float, float]  # value, low, high


def jackknifed(found: Angles, left_out: Sequence[Angles]) -> list[tuple[str, Interval]]:
    """Each quantity with its interval, from what is found without each group of examples."""
    rows = {
        name: jackknife(read(found).item(), [read(angles).item() for angles in left_out])
        for name, read in SHARES.items()
    }
    value, low, high = (
        math.degrees(math.acos(cosine)) for cosine in rows["largest_principal_cosine"]
    )
    return [*rows.items(), ("smallest_angle", (value, high, low))]


def jackknife(value: float, without: Sequence[float]) -> Interval:
    """A number in [0, 1] with its 95 % interval, from its values when each of g groups of examples is left out."""
    g = len(without)
    error = math.sqrt((g - 1) * float(np.var(without)))
    half = float(t.ppf(0.975, g - 1)) * error
    return value, max(0.0, value - half), min(1.0, value + half)


def summary(null: Tensor) -> list[tuple[str, Interval]]:
    """Mean and 95 % quantile of draws (R,), with the intervals that so many draws leave."""
    ordered, count = null.sort().values, len(null)
    mean, half = ordered.mean().item(), 1.96 * ordered.std().item() / math.sqrt(count)
    ranks = [int(binom.ppf(q, count, 0.95)) for q in (0.025, 0.975)]
    low, high = (ordered[min(rank, count - 1)].item() for rank in ranks)
    quantile = ordered.quantile(0.95).item()
    return [
        ("null_mean", (mean, mean - half, mean + half)),
        ("null_95", (quantile, min(low, quantile), max(high, quantile))),
    ]
