"""Norms of perturbations, projections and steepest ascent. The leading axis is the batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from invspec.ops.types import Norm

# l0 counts the non-zero entries; it is not a norm.
Metric = Norm | Literal["l0"]
ORDERS: dict[Metric, float] = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}
# A unit step raises a linear function by at most the dual norm of its gradient.
DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}


def per_example(values: Tensor, like: Tensor) -> Tensor:
    """Give values (B,) trailing axes of size 1, so that it broadcasts against like (B, ...)."""
    return values.view(-1, *[1] * (like.ndim - 1))


def size(delta: Tensor, norm: Metric) -> Tensor:
    """Length of each perturbation: delta (B, ...) to (B,).

    >>> size(torch.tensor([[3.0, -4.0]]), "l2")
    tensor([5.])
    """
    return torch.linalg.vector_norm(delta.flatten(1), ORDERS[norm], dim=1)


def project(delta: Tensor, eps: float | Tensor, norm: Metric) -> Tensor:
    """The Euclidean projection of delta (B, ...) onto the eps-ball; eps is a number or (B,).

    For l0, the floor(eps) largest entries of delta stay and all others become 0.

    >>> project(torch.tensor([[3.0, -4.0]]), 2.0, "l1")
    tensor([[ 0.5000, -1.5000]])
    """
    # filled in place: a number that became a tensor on the host would be copied to the device
    radius = per_example(
        eps.to(delta) if isinstance(eps, Tensor) else delta.new_full((1,), eps), delta
    )
    if norm == "linf":
        return torch.clamp(delta, -radius, radius)
    if norm == "l2":
        length = per_example(size(delta, "l2"), delta)
        return delta * (radius / length.clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1)
    if norm == "l0":
        return delta.where(_rank(delta) <= radius, 0)
    shrunk = (delta.abs() - per_example(_surplus(delta, radius), delta)).clamp_min(0)
    return delta.sign() * shrunk.to(delta.dtype)


def _rank(delta: Tensor) -> Tensor:
    """Rank of each entry within its example by magnitude: 1 is the largest, ties in order."""
    order = delta.flatten(1).abs().argsort(dim=1, descending=True, stable=True)
    places = torch.arange(1, order.shape[1] + 1, device=delta.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(delta.shape)


def _surplus(delta: Tensor, radius: Tensor) -> Tensor:
    """How much every entry must shrink for an l1 norm of radius (B, 1, ...): (B,) float64.

    It is 0 inside the ball. With the magnitudes u in descending order, it is
    (u_1 + ... + u_r - radius) / r, where r is the number of entries that stay non-zero (Duchi et
    al. 2008). As a function of r this is largest at the right r, so it is a maximum over r.
    """
    magnitudes = delta.flatten(1).abs().sort(dim=1, descending=True).values
    ranks = torch.arange(1, magnitudes.shape[1] + 1, device=delta.device)
    # float64: in float32 the sum over all entries would round away a small excess over the radius
    shares = (magnitudes.cumsum(1, dtype=torch.float64) - radius.flatten(1)) / ranks
    return shares.amax(1).clamp_min(0)


def steepest(gradient: Tensor, norm: Norm, sparsity: int | Tensor = 1) -> Tensor:
    """The unit step in the given norm along which a loss with gradient (B, ...) rises fastest.

    linf: the signs. l2: the unit vector. l1: the signs of the `sparsity` largest entries, divided
    by sparsity; only sparsity 1 is steepest, larger values spread the step over several entries.
    sparsity may be (B,), one value per example. Where the gradient is 0, the step is 0.

    >>> steepest(torch.tensor([[3.0, -4.0]]), "l1")
    tensor([[ 0., -1.]])
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l2":
        # Scale first: the squares of a confident model's gradient would underflow.
        scaled = _normalised(gradient, "linf")
        return _normalised(scaled, "l2")
    flat = gradient.flatten(1)
    if isinstance(sparsity, Tensor):
        counts = per_example(sparsity.clamp_max(flat.shape[1]), gradient)
        return (gradient.sign() / counts).where(_rank(gradient) <= counts, 0)
    count = min(sparsity, flat.shape[1])
    largest = flat.abs().topk(count, dim=1).indices
    signs = flat.gather(1, largest).sign() / count
    return torch.zeros_like(flat).scatter_(1, largest, signs).view(gradient.shape)


def _normalised(delta: Tensor, norm: Norm) -> Tensor:
    """delta (B, ...) divided by its length; 0 stays 0."""
    return delta / per_example(size(delta, norm), delta).clamp_min(torch.finfo(delta.dtype).tiny)
