"""A linear map of a code's nuisance that its logits choose."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from invspec.flows.invertible import ActNorm, at_least_float32

AT_ONCE = 2**24  # numbers in the matrices that are solved together


SHRUNK = 0.01  # share of a class's covariance that is replaced by its diagonal


FLOOR = 1e-3  # variance that each number has at least, where all images together have 1


class TriangularGivenLogits(nn.Module):
    """z_n, (B, n), to exp(s) * (I + L) (actnorm(z_n) + b), each of s, L and b a mixture of K, one a class.

    The mixture has the weights p = softmax(z_s) of the logits z_s (B, K): s = sum p_k s_k, and so on, where each L_k is
    strictly lower triangular. So the map has an inverse whatever the logits are. It begins as actnorm.

    Ours, in none of the papers. A likelihood thereby learns, of each class, the mean and the whole covariance of the
    nuisance, and takes both out of it: what could tell the class by them is gone. A loss of the logits alone leaves it
    as it begins. `fit` takes the likelihood's optimum in closed form.
    """

    def __init__(self, classes: int, length: int) -> None:
        super().__init__()
        self.actnorm = ActNorm(length)
        self.shift = nn.Parameter(torch.zeros(classes, length))
        self.log_scale = nn.Parameter(torch.zeros(classes, length))
        self.lower = nn.Parameter(
            torch.zeros(classes, length, length)
        )  # of which only what is below the diagonal

    def forward(self, semantic: Tensor, nuisance: Tensor) -> tuple[Tensor, Tensor]:
        """The mapped nuisance (B, n), and the log of the absolute determinant (B,) with the logits held."""
        normed, log_det = self.actnorm(nuisance[:, :, None, None])
        p = semantic.softmax(1)
        centred = normed.flatten(1) + p @ self.shift
        mixed = centred @ self.lower.tril(-1).flatten(0, 1).mT  # (B, K n): what each class adds
        added = (p[:, :, None] * mixed.view(len(p), *self.shift.shape)).sum(1)
        log_scale = p @ self.log_scale
        return (centred + added) * log_scale.exp(), log_det + log_scale.sum(1)

    def inverse(self, semantic: Tensor, mapped: Tensor) -> Tensor:
        """The nuisance (B, n) of which the map, given these logits, is `mapped`."""
        p = semantic.softmax(1)
        scaled, few = (
            mapped * (-(p @ self.log_scale)).exp(),
            max(AT_ONCE // mapped.shape[1] ** 2, 1),
        )
        centred = torch.cat(
            [self._solve(*some) for some in zip(p.split(few), scaled.split(few), strict=True)]
        )
        return self.actnorm.inverse((centred - p @ self.shift)[:, :, None, None]).flatten(1)

    def _solve(self, p: Tensor, right: Tensor) -> Tensor:
        """x (B, n) of which (I + sum p_k L_k) x is right (B, n), each with its own p (B, K)."""
        precise = at_least_float32(right)  # triangles are not solved in less
        lower = torch.tensordot(p, self.lower, 1).to(
            precise
        )  # of which only what is below the diagonal is read
        columns = right[:, :, None].to(precise)
        return (
            torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
            .squeeze(2)
            .to(right.dtype)
        )

    @torch.no_grad()
    def fit(self, codes: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take the map under which codes, semantic (B, K) and nuisance (B, n) a batch, are likeliest as Gaussians.

        That is, of each class, less its mean and divided by the Cholesky factor of its covariance, both weighted by p
        and the covariance a little shrunk; exact where p is 0 or 1. actnorm stays, and so does a class of no weight.
        """
        count, first, second = (
            torch.zeros_like(one, dtype=torch.float64) for one in self._moments_like()
        )
        for semantic, nuisance in codes:
            p, normed = semantic.softmax(1), self.actnorm(nuisance[:, :, None, None])[0].flatten(1)
            count += p.sum(0)
            first += p.mT @ normed
            for k in range(len(count)):
                second[k] += normed.mT @ (p[:, k, None] * normed)
        for k in count.nonzero()[:, 0].tolist():
            mean = first[k] / count[k]
            whitening = inverse_factor(second[k] / count[k] - mean.outer(mean))
            scale = whitening.diagonal()
            self.shift[k], self.log_scale[k], self.lower[k] = (
                -mean,
                scale.log(),
                (whitening / scale[:, None]).tril(-1),
            )

    def _moments_like(self) -> tuple[Tensor, Tensor, Tensor]:
        """Tensors of the shapes of each class's weight (K,), sum (K, n) and sum of squares (K, n, n)."""
        return self.shift[:, 0], self.shift, self.lower


def inverse_factor(covariance: Tensor) -> Tensor:
    """The inverse (n, n) of the lower Cholesky factor of a covariance, shrunk towards its diagonal."""
    diagonal = covariance.diagonal().clamp_min(0)
    shrunk = (1 - SHRUNK) * covariance + torch.diag(SHRUNK * diagonal + FLOOR)
    identity = torch.eye(len(diagonal), dtype=covariance.dtype, device=covariance.device)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(shrunk), identity, upper=False)
