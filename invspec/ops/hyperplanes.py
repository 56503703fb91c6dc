"""The shortest step from an image to a hyperplane inside the box of valid pixels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from invspec.ops.norms import per_example
from invspec.ops.types import Bounds


def step_to_hyperplane(
    x: Tensor, gap: Tensor, normal: Tensor, bounds: Bounds, norm: Literal["linf", "l2"]
) -> Tensor:
    """The shortest step (B, ...) from x to a point of the box where a linear function is 0.

    x (B, ...) is in the box. The function has the value gap (B,) at x and the gradient normal
    (B, ...). If it has no zero in the box, the step goes to the corner where it is closest to 0.

    >>> x, normal = torch.tensor([[0.5, 0.5]]), torch.tensor([[3.0, 1.0]])
    >>> step_to_hyperplane(x, torch.tensor([-1.0]), normal, (0, 1), "linf")
    tensor([[0.2500, 0.2500]])
    """
    # float64: the remaining gap is a difference of cumulative sums over all pixels.
    downhill = -(normal * per_example(gap.sign(), normal)).double()
    low, high = bounds
    room = torch.where(downhill > 0, high - x, x - low).where(downhill != 0, 0).double()
    # Speed of each pixel along the step: l2 follows the normal, linf moves all pixels alike.
    rate = downhill.abs() if norm == "l2" else downhill.ne(0).double()
    length = _length(rate, room, downhill.abs() * rate, gap.double().abs())
    return (downhill.sign() * torch.minimum(rate * per_example(length, rate), room)).to(x.dtype)


def _length(rate: Tensor, room: Tensor, weight: Tensor, gap: Tensor) -> Tensor:
    """The smallest t (B,) at which the sum of weight * min(t, room / rate) is gap (B,).

    If no t reaches gap, a t beyond every room / rate. The sum is a concave, piecewise linear
    function of t and therefore the minimum of the lines of its pieces; t is the largest of the
    points where those lines reach gap. On piece k the first k pixels have arrived at their bound.
    """
    arrival = torch.where(rate > 0, room / rate, 0).flatten(1)
    order = arrival.argsort(dim=1)
    arrival, weight = arrival.gather(1, order), weight.flatten(1).gather(1, order)
    # the part of the gap closed by pixels that have arrived, and how fast the others close the rest
    spent = torch.nn.functional.pad((arrival * weight).cumsum(1)[:, :-1], (1, 0))
    slope = weight.flip(1).cumsum(1).flip(1)
    return torch.where(slope > 0, (gap.unsqueeze(1) - spent) / slope, 0).amax(1)
