"""What an update of a training descends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """The loss of an update, a scalar; the logits (B, K); what else its curves tell, scalars by name."""

    loss: Tensor
    logits: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
