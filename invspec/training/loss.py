"""The loss of one update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch.nn.functional as F
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Penalised
from invspec.ops.draws import Stream


@dataclass(frozen=True)
class StepLoss:
    """The loss of one update, a scalar; the logits (B, K); further scalars to log, by name."""

    value: Tensor
    logits: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


# net, prepared batch, draws -> loss. May update an auxiliary first.
LossFunction = Callable[[nn.Module, Batch, Stream], StepLoss]


def cross_entropy(net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
    """Mean cross-entropy with labels (B,) or with probabilities (B, K)."""
    logits = net(batch.x)
    return StepLoss(F.cross_entropy(logits, batch.y), logits)


def with_penalty(loss: StepLoss, model: nn.Module) -> StepLoss:
    """The loss plus the penalty of a model that has one."""
    if not isinstance(model, Penalised):
        return loss
    return replace(loss, value=loss.value + model.penalty())
