"""Labels that fade towards the uniform distribution as images are perturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from invspec.data import Batch
from invspec.ops.transitions import faded
from invspec.search.gradients import logits_of
from invspec.training.modes import attackable

# From net, x and x_adv (B, C, H, W) to the weight of the true label, (B,) in [0, 1]
LabelWeight = Callable[[nn.Module, Tensor, Tensor], Tensor]


def fade_labels(net: nn.Module, clean: Batch, attacked: Batch, label_weight: LabelWeight) -> Batch:
    """The attacked batch with labels weight * onehot(y) + (1 - weight) / K, (B, K).

    The net runs in eval mode with frozen weights; no gradient flows through the label weight.
    """
    with attackable(net):
        # the batch does not say how many classes there are
        classes = logits_of(net, clean.x[:1]).shape[1]
        weight = label_weight(net, clean.x, attacked.x)
    return replace(attacked, y=faded(clean.y, weight, classes))
