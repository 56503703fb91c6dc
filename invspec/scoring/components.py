"""Principal components of perturbations, of all or without one group of the jackknife."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor

from invspec.ops.draws import Stream
from invspec.scoring.jackknife import GROUPS

# perturbations converted to float64 at a time
AT_ONCE = 2048


@dataclass(frozen=True)
class Components:
    """The leading k principal components in order: vectors (d, k) and values (k,), their variances.

    variance is the total over all components.
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
        # in parts, because all vectors in float64 would take twice their memory
        for rows in vectors.split(AT_ONCE):
            total += rows.double().sum(dim=0)
            outer.addmm_(rows.double().T, rows.double())
        return cls(len(vectors), total, outer)

    def minus(self, other: Scatter) -> Scatter:
        """The sums without the vectors of another scatter."""
        # exact enough in float64, and cheaper than another pass over all other vectors
        return Scatter(self.n - other.n, self.total - other.total, self.outer - other.outer)

    def covariance(self, centre: bool) -> Tensor:
        """The covariance (m, m), about the mean or, without centre, about 0."""
        mean = self.total / self.n
        return self.outer / self.n - torch.outer(mean, mean) if centre else self.outer / self.n


@dataclass(frozen=True)
class Cloud:
    """One attack's perturbations: rows (n, m), coordinates in an orthonormal basis (d, m).

    With fewer rows than pixels, the basis spans the rows, which makes the rest cheaper. Otherwise
    it is None and the rows are in pixels.
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
        # delta^T = basis coordinates, so a perturbation is a column of coordinates
        basis, coordinates = torch.linalg.qr(delta.double().T)
        return cls(coordinates.T, basis, Scatter.of(coordinates.T), centre)

    def components(self, k: int, without: int | None = None) -> Components:
        """The leading k components, of all perturbations or without one group.

        A group is every GROUPS-th example, so that it contains all classes.
        """
        group = self.rows[:0] if without is None else self.rows[without::GROUPS]
        covariance = self.scatter.minus(Scatter.of(group)).covariance(self.centre)
        values, vectors = leading(covariance, k)
        # rounding may put an eigenvalue that is 0 below it
        return Components(self._in_pixels(vectors), values.clamp(min=0), covariance.trace().item())

    def random_bases(self, draws: int, k: int, rng: Stream) -> Tensor:
        """Orthonormal bases (draws, d, k) of random subspaces.

        Each subspace is spanned by normal vectors with exactly the covariance of the perturbations.
        """
        mean = self.centre * self.scatter.total / self.scatter.n
        # The sum of g_i (delta_i - mean) over normal g_i has n times the covariance of the
        # perturbations, and a factor changes no subspace.
        mixed = torch.zeros(draws * k, self.rows.shape[1], dtype=torch.float64)
        for rows in self.rows.split(AT_ONCE):
            mixed += rng.normal((len(mixed), len(rows))).double() @ (rows.double() - mean)
        # an orthonormal basis of the k mixtures of each draw
        return torch.linalg.qr(self._in_pixels(mixed.T).T.reshape(draws, k, -1).mT).Q

    def _in_pixels(self, vectors: Tensor) -> Tensor:
        """From coordinates (m, ...) to pixels (d, ...)."""
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
