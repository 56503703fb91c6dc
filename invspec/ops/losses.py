"""Per-example losses that attacks maximise: logits (B, K) and labels y (B,) int64 to (B,)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from invspec.errors import InvspecError

Loss = Literal["ce", "margin", "dlr", "confidence"]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Negative log probability of y."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of y: positive where the prediction is not y.

    >>> margin(torch.tensor([[3.0, 1.0, 0.5]]), torch.tensor([0]))
    tensor([-2.])
    """
    label = y.unsqueeze(1)
    others = logits.scatter(1, label, -torch.inf)
    return others.amax(1) - logits.gather(1, label).squeeze(1)


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """log p_y - log(1 - p_y): the logit of y minus the log-sum-exp of the other logits.

    Its gradient is parallel to that of p_y, and does not vanish where p_y rounds to 1.

    >>> log_odds(torch.tensor([[3.0, 1.0]]), torch.tensor([0]))
    tensor([2.])
    """
    label = y.unsqueeze(1)
    return logits.gather(1, label).squeeze(1) - logits.scatter(1, label, -torch.inf).logsumexp(1)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Difference of logits ratio, eq. 6: margin / (z_1 - z_3), with z_i the i-th largest logit.

    The loss is invariant to shifting and scaling the logits.

    Raises: InvspecError if there are fewer than three classes.
    """
    top = _largest(logits, 3, "dlr")
    # 1e-12, as in the authors' code: 0 and not NaN where all logits are equal
    return margin(logits, y) / (top[:, 0] - top[:, 2] + 1e-12)


def dlr_targeted(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The targeted version, eq. 7: (z_target - z_y) / (z_1 - (z_3 + z_4) / 2).

    Raises: InvspecError if there are fewer than four classes.
    """
    top = _largest(logits, 4, "dlr_targeted")
    lead = logits.gather(1, target.unsqueeze(1)) - logits.gather(1, y.unsqueeze(1))
    # 1e-12 as in dlr
    return lead.squeeze(1) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


def least_classes(loss: str) -> int:
    """The least number of classes that a loss of this name compares.

    >>> least_classes("dlr_targeted"), least_classes("ce")
    (4, 2)
    """
    return {"dlr": 3, "dlr_targeted": 4}.get(loss, 2)


def confidence(logits: Tensor, y: Tensor) -> Tensor:
    """Log of the largest probability of a class other than y.

    The log keeps the order and the direction of the gradient, and does not underflow.

    >>> confidence(torch.tensor([[0.0, 0.0]]), torch.tensor([0])).exp()
    tensor([0.5000])
    """
    return logits.log_softmax(1).scatter(1, y.unsqueeze(1), -torch.inf).amax(1)


def _largest(logits: Tensor, count: int, loss: str) -> Tensor:
    """The largest logits of each example in descending order, (B, count)."""
    if logits.shape[1] < count:
        needed = {3: "three", 4: "four"}[count]
        raise InvspecError(
            f"the {loss} loss needs at least {needed} classes, the model has {logits.shape[1]}",
            hint="use loss: ce",
        )
    return logits.topk(count, dim=1).values


def total_variation(delta: Tensor, squared: bool = False) -> Tensor:
    """Total variation (B,) of delta (B, C, H, W): sum of absolute differences of neighbours.

    squared: the sum of squared differences, divided by C H W.

    >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]]))
    tensor([6.])
    """
    down, across = delta.diff(dim=2).flatten(1), delta.diff(dim=3).flatten(1)
    if squared:
        return (down.square().sum(1) + across.square().sum(1)) / delta[0].numel()
    return down.abs().sum(1) + across.abs().sum(1)


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "margin": margin,
    "dlr": dlr,
    "confidence": confidence,
}
