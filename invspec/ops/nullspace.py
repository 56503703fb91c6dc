"""Removing directions that change the model's output: its confidence, or all of its logits.

Gradient projections work on batches (B, ...). The analysis of a two-layer ReLU net works on one
image of D pixels, in the precision of its arguments: logits = W2 relu(W1 x + b1) + b2, with W1
(h, D) and W2 (K, h).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from invspec.ops.norms import per_example
from invspec.ops.types import Bounds

Projection = Literal["one_sided", "two_sided", "none", "printed"]

# Singular values below this share of the largest belong to the null space.
RANK = 1e-10
# Rounds of pinning pixels at their bounds. Images of 3072 pixels with half of them at a bound
# needed up to 4.
ROUNDS = 6


# ─ one gradient per example ───────────────────────────────────────────────────────────────────────


def project_out(v: Tensor, gradient: Tensor, projection: Projection) -> Tensor:
    """The displacement v (B, ...) minus its component along the gradient (B, ...): a new tensor.

    two_sided: u = v - s gradient with s = gradient . v / gradient . gradient, which keeps the
    function to first order. one_sided: the same where s < 0, that is where v would lower the
    function, and v elsewhere. none: v. printed: (1 - min(cos, 0)) v with the cosine between v and
    the gradient, as in Algorithm 1; this only lengthens v. Where the gradient is 0, nothing is
    removed.

    >>> project_out(torch.tensor([[3.0, -4.0]]), torch.tensor([[0.0, 2.0]]), "one_sided")
    tensor([[3., 0.]])
    """
    if projection == "none":
        return v.clone()
    if projection == "printed":
        return v * per_example(1 - _cosine(v, gradient).clamp_max(0), v)
    return torch.addcmul(v, per_example(_share(v, gradient, projection), v), gradient, value=-1)


def project_out_within(
    v: Tensor, gradient: Tensor, projection: Projection, x: Tensor, bounds: Bounds
) -> Tensor:
    """`project_out` restricted to the pixels of x (B, ...) that can move without leaving bounds.

    Where x is at a bound and u points beyond it, u becomes 0: this pixel is left out of v and of
    the gradient, and s is computed again from the others, until no further pixel would leave. The
    result is the displacement nearest to v that stays in the box and, to first order, keeps the
    confidence; this is Newton's method on a piecewise linear function of s.
    """
    u = project_out(v, gradient, projection)
    if projection in ("none", "printed"):
        return u
    low, high = x <= bounds[0], x >= bounds[1]
    for _ in range(ROUNDS):
        pinned = (low & (u < 0)) | (high & (u > 0))
        share = _share(v.masked_fill(pinned, 0), gradient.masked_fill(pinned, 0), projection)
        u = torch.addcmul(v, per_example(share, v), gradient, value=-1)
    return u.masked_fill_((low & (u < 0)) | (high & (u > 0)), 0)


def _share(v: Tensor, gradient: Tensor, projection: Projection) -> Tensor:
    """The multiple s (B,) of the gradient in v; 0 where the gradient is 0; one_sided: at most 0."""
    along, squared = dot(gradient, v), dot(gradient, gradient)
    share = torch.where(squared > 0, along / squared, 0)
    return share.clamp_max_(0) if projection == "one_sided" else share


def _cosine(v: Tensor, gradient: Tensor) -> Tensor:
    """Cosine of the angle between v and the gradient, (B,); 0 where either is 0."""
    lengths = (dot(v, v) * dot(gradient, gradient)).sqrt()
    return torch.where(lengths > 0, dot(v, gradient) / lengths, 0)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of a and b (B, ...) per example: (B,)."""
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


# ─ many rows, one image ───────────────────────────────────────────────────────────────────────────


def row_space(matrix: Tensor) -> Tensor:
    """An orthonormal basis (r, D) of the row space of a matrix (m, D) of rank r.

    Uses a thin singular value decomposition and keeps singular values above 1e-10 of the largest,
    so that rows may be linearly dependent.
    """
    _, values, basis = torch.linalg.svd(matrix, full_matrices=False)
    return basis[values > RANK * values[:1]]


def null_component(v: Tensor, basis: Tensor) -> Tensor:
    """The component of v (D,) orthogonal to an orthonormal basis (r, D)."""
    return v - (basis @ v) @ basis


def effective_map(w1: Tensor, w2: Tensor, active: Tensor) -> Tensor:
    """The linear map (K, D) of a two-layer net on the activation pattern active (h,) bool."""
    return w2[:, active] @ w1[active]


def project_held(
    v: Tensor, always: Tensor, rows: Tensor, to_hold: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The component of v (D,) orthogonal to `always` (K, D) and to the rows (h, D) held.

    to_hold maps a displacement (D,) to a mask (h,) bool of rows to hold. These are added to the
    rows held so far, and v is projected again, until no new row is added: at most h times. Returns
    the displacement, the rows held (h,) bool, and an orthonormal basis (r, D) of the subspace that
    was projected out.
    """
    held = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    while True:
        basis = row_space(torch.cat([always, rows[held]]))
        displacement = null_component(v, basis)
        more = to_hold(displacement) & ~held
        if not more.any():
            return displacement, held, basis
        held = held | more


def flips(a: Tensor, change: Tensor) -> Tensor:
    """Which ReLUs (h,) switch on or off when pre-activations a (h,) change by change (h,)."""
    return (a > 0) != (a + change > 0)


def alpha_max(a: Tensor, change: Tensor) -> Tensor:
    """The multiple of change (h,) at which the first ReLU with pre-activation a (h,) flips, or inf.

    >>> alpha_max(torch.tensor([1.0, -1.0, 2.0]), torch.tensor([-4.0, -1.0, 1.0]))
    tensor(0.2500)
    """
    nearing = torch.where(a > 0, change < 0, change > 0)
    return torch.where(nearing, -a / change, torch.inf).amin()
