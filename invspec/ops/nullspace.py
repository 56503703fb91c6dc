"""Removing what a model can feel: directions that leave its confidence, or its logits, as they are.

Gradient projections work on batches (B, ...). The analysis of a two-layer ReLU net works on one image of D pixels, in
whatever precision it is given: logits = W2 relu(W1 x + b1) + b2, with W1 (h, D) and W2 (K, h).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from invspec.ops.norms import per_example
from invspec.ops.types import Bounds

Projection = Literal["one_sided", "two_sided", "none", "printed"]

RANK = 1e-10  # singular values below this share of the largest belong to the null space
ROUNDS = 6  # of leaving out pixels; images of 3072 pixels, half of them at a bound, have been seen to need 4


# ─ one gradient an example ────────────────────────────────────────────────────────────────────────────────────────────


def project_out(v: Tensor, gradient: Tensor, projection: Projection) -> Tensor:
    """The displacement v (B, ...) less its part along the gradient (B, ...) of what is to be kept: a new tensor.

    two_sided: u = v - s gradient with s = gradient . v / gradient . gradient, which to first order keeps it. one_sided:
    the same where s < 0, where v would lower it, and v elsewhere. none: v. printed: (1 - min(cos, 0)) v, cos being the
    cosine between the two, as in Algorithm 1, which only lengthens v. Where the gradient is 0 there is nothing to
    remove.

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
    """`project_out` among the pixels that are free to follow, those of x (B, ...) that stay within bounds.

    Where x is at a bound and u points beyond it, u is 0: such a pixel is left out of v and of the gradient, and s
    computed anew from the others, until no more pixels would leave. That is the nearest displacement to v that keeps
    both the confidence, to first order, and the box, by Newton's method on a piecewise linear function of s.
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
    """s (B,), how much of the gradient is in v; one_sided, at most 0. 0 where the gradient is 0."""
    along, squared = dot(gradient, v), dot(gradient, gradient)
    share = torch.where(squared > 0, along / squared, 0)
    return share.clamp_max_(0) if projection == "one_sided" else share


def _cosine(v: Tensor, gradient: Tensor) -> Tensor:
    """Of the angle between v and the gradient, (B,); 0 where either is 0."""
    lengths = (dot(v, v) * dot(gradient, gradient)).sqrt()
    return torch.where(lengths > 0, dot(v, gradient) / lengths, 0)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each example's a and b (B, ...): (B,)."""
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


# ─ many rows, one image ───────────────────────────────────────────────────────────────────────────────────────────────


def row_space(matrix: Tensor) -> Tensor:
    """An orthonormal basis (r, D) of the rows of a matrix (m, D), r being its rank.

    By a thin singular value decomposition of which the values above 1e-10 of the largest are kept, so that rows may
    depend on each other.
    """
    _, values, basis = torch.linalg.svd(matrix, full_matrices=False)
    return basis[values > RANK * values[:1]]


def null_component(v: Tensor, basis: Tensor) -> Tensor:
    """What of v (D,) is orthogonal to an orthonormal basis (r, D)."""
    return v - (basis @ v) @ basis


def effective_map(w1: Tensor, w2: Tensor, active: Tensor) -> Tensor:
    """(K, D): the linear map that a two-layer net is while the hidden units active (h,) bool, and no others, pass."""
    return w2[:, active] @ w1[active]


def project_held(
    v: Tensor, always: Tensor, rows: Tensor, to_hold: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The part of v (D,) that neither `always` (K, D) nor those of rows (h, D) feel that have to be held.

    to_hold tells of a displacement (D,) which rows to hold, (h,) bool. They are added to those held already and v is
    projected anew, until it asks for no other: at most h times. Returns the displacement, the rows held (h,) bool, and
    an orthonormal basis (r, D) of what was projected out.
    """
    held = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    while True:
        basis = row_space(torch.cat([always, rows[held]]))
        found = null_component(v, basis)
        more = to_hold(found) & ~held
        if not more.any():
            return found, held, basis
        held = held | more


def flips(a: Tensor, change: Tensor) -> Tensor:
    """Which ReLUs (h,) a change (h,) of the pre-activations a (h,) switches on or off."""
    return (a > 0) != (a + change > 0)


def alpha_max(a: Tensor, change: Tensor) -> Tensor:
    """The largest multiple of a change (h,) before which no ReLU of pre-activations a (h,) flips; inf: none ever does.

    >>> alpha_max(torch.tensor([1.0, -1.0, 2.0]), torch.tensor([-4.0, -1.0, 1.0]))
    tensor(0.2500)
    """
    nearing = torch.where(a > 0, change < 0, change > 0)
    return torch.where(nearing, -a / change, torch.inf).amin()
