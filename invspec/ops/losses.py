"""Losses of single examples, which attacks climb: logits (B, K) and labels y (B,) int64 to (B,)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from invspec.errors import InvspecError

Loss = Literal["ce", "margin", "dlr"]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Minus the logarithm of the probability of y."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of y: positive where the prediction is not y.

    >>> margin(torch.tensor([[3.0, 1.0, 0.5]]), torch.tensor([0]))
    tensor([-2.])
    """
    true = y.unsqueeze(1)
    others = logits.scatter(1, true, -torch.inf)
    return others.amax(1) - logits.gather(1, true).squeeze(1)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """The difference of logits ratio, eq. 6: the margin over the gap between the first and third largest logits.

    Unchanged when the logits are shifted or scaled. Raises InvspecError where there are fewer than three classes.
    """
    top = _largest(logits, 3, "dlr")
    return margin(logits, y) / (top[:, 0] - top[:, 2] + 1e-12)


def dlr_targeted(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The same towards one class, eq. 7: z_target - z_y over the first less the mean of the third and fourth logits.

    Raises InvspecError where there are fewer than four classes.
    """
    top = _largest(logits, 4, "dlr_targeted")
    lead = logits.gather(1, target.unsqueeze(1)) - logits.gather(1, y.unsqueeze(1))
    return lead.squeeze(1) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


def _largest(logits: Tensor, count: int, loss: str) -> Tensor:
    """The largest logits of each example in falling order, (B, count)."""
    if logits.shape[1] < count:
        compared = {3: "three", 4: "four"}[count]
        raise InvspecError(
            f"the {loss} loss compares {compared} logits, the model has {logits.shape[1]}",
            hint="use loss: ce",
        )
    return logits.topk(count, dim=1).values


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}
