"""A triangular map of the nuisance that depends on the logits."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from invspec.flows.invertible import at_least_float32
from invspec.flows.layers import ActNorm

# Largest number of matrix entries in one solve; bounds the memory of `inverse`.
MAX_ENTRIES = 2**24

# Weight of the diagonal in the shrunk covariance of a class.
SHRINKAGE = 0.01

# Added to every variance; all images together have variance 1.
FLOOR = 1e-3


class TriangularGivenLogits(nn.Module):
    """z_n (B, n) -> exp(s) * (I + L) (actnorm(z_n) + b), with s, L and b mixed from the K classes.

    The mixture has the weights p = softmax(z_s) of the logits z_s (B, K): s = sum p_k s_k, and so
    on, where each L_k is strictly lower triangular. The map is therefore invertible for any logits.
    It starts as actnorm.

    Ours, not from a paper. Training by likelihood learns the mean and full covariance of each
    class's nuisance and removes both, so that neither reveals the class any longer. A loss on the
    logits alone leaves the map unchanged. `fit` sets it to the likelihood's optimum in closed form.
    """

    def __init__(self, classes: int, length: int) -> None:
        super().__init__()
        self.actnorm = ActNorm(length)
        self.shift = nn.Parameter(torch.zeros(classes, length))
        self.log_scale = nn.Parameter(torch.zeros(classes, length))
        # Only the entries below the diagonal are used.
        self.lower = nn.Parameter(torch.zeros(classes, length, length))

    def forward(self, semantic: Tensor, nuisance: Tensor) -> tuple[Tensor, Tensor]:
        """The mapped nuisance (B, n), and the log-determinant (B,) at fixed logits."""
        normed, log_det = self.actnorm(nuisance[:, :, None, None])
        p = semantic.softmax(1)
        centred = normed.flatten(1) + p @ self.shift
        # (B, K n): L_k times the centred nuisance, of each class.
        products = centred @ self.lower.tril(-1).flatten(0, 1).mT
        mixed = (p[:, :, None] * products.view(len(p), *self.shift.shape)).sum(1)
        log_scale = p @ self.log_scale
        return (centred + mixed) * log_scale.exp(), log_det + log_scale.sum(1)

    def inverse(self, semantic: Tensor, mapped: Tensor) -> Tensor:
        """The nuisance (B, n) that `forward` maps to `mapped`, given the logits."""
        p = semantic.softmax(1)
        unscaled = mapped * (-(p @ self.log_scale)).exp()
        rows = max(MAX_ENTRIES // mapped.shape[1] ** 2, 1)
        chunks = zip(p.split(rows), unscaled.split(rows), strict=True)
        centred = torch.cat([self._solve(*chunk) for chunk in chunks])
        return self.actnorm.inverse((centred - p @ self.shift)[:, :, None, None]).flatten(1)

    def _solve(self, p: Tensor, right: Tensor) -> Tensor:
        """Solve (I + sum p_k L_k) x = right for x (B, n), each row with its own p (B, K)."""
        # torch solves triangular systems in float32 or float64 only. It reads what is below the
        # diagonal, so no tril is needed.
        precision = at_least_float32(right)
        lower = torch.tensordot(p, self.lower, 1).to(precision)
        columns = right[:, :, None].to(precision)
        solved = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        return solved.squeeze(2).to(right.dtype)

    @torch.no_grad()
    def fit(self, codes: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set the map that maximises the likelihood of codes under a standard Gaussian.

        codes are batches of semantic (B, K) and nuisance (B, n). For each class the map subtracts
        the mean and divides by the Cholesky factor of the covariance. Both are weighted by p, and
        the covariance is slightly shrunk; without shrinkage this is the optimum where p is 0 or 1.
        actnorm stays unchanged, as do classes without weight.
        """
        count, total, squares = self._weighted_moments(codes)
        for k in count.nonzero()[:, 0].tolist():
            mean = total[k] / count[k]
            # the difference cancels where the mean is large: hence moments in float64
            whitening = inverse_factor(squares[k] / count[k] - mean.outer(mean))
            scale = whitening.diagonal()
            self.shift[k] = -mean
            self.log_scale[k] = scale.log()
            self.lower[k] = (whitening / scale[:, None]).tril(-1)

    def _weighted_moments(
        self, codes: Iterable[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weight (K,), sum (K, n) and sum of squares (K, n, n) of each class, in float64."""
        count = torch.zeros_like(self.shift[:, 0], dtype=torch.float64)
        total = torch.zeros_like(self.shift, dtype=torch.float64)
        squares = torch.zeros_like(self.lower, dtype=torch.float64)
        for semantic, nuisance in codes:
            p = semantic.softmax(1)
            normed = self.actnorm(nuisance[:, :, None, None])[0].flatten(1)
            count += p.sum(0)
            total += p.mT @ normed
            # One class at a time: all K products at once would take K times the memory.
            for k in range(len(count)):
                squares[k] += normed.mT @ (p[:, k, None] * normed)
        return count, total, squares


def inverse_factor(covariance: Tensor) -> Tensor:
    """The inverse (n, n) of the lower Cholesky factor of a covariance, which is shrunk first."""
    diagonal = covariance.diagonal().clamp_min(0)
    shrunk = (1 - SHRINKAGE) * covariance + torch.diag(SHRINKAGE * diagonal + FLOOR)
    identity = torch.eye(len(diagonal), dtype=covariance.dtype, device=covariance.device)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(shrunk), identity, upper=False)
