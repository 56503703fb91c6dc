"""The weights of a two-layer ReLU net in float64, for exact null-space steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from invspec.data import Batch
from invspec.kinds import TwoLayer

# Rounding of a pre-activation, as a share of the sum of its terms' magnitudes.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Weights:
    """A two-layer net in float64: w1 (h, D), b1 (h,), w2 (K, h), b2 (K,)."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    @classmethod
    def of(cls, net: TwoLayer) -> Self:
        """The weights of a net."""
        tensors = (net.hidden_weight, net.hidden_bias, net.output_weight, net.output_bias)
        return cls(*(tensor.detach().double() for tensor in tensors))

    def logits(self, x: Tensor) -> Tensor:
        """x (D,) to logits (K,)."""
        return self.w2 @ (self.w1 @ x + self.b1).relu() + self.b2

    def flips(self, x: Tensor, d: Tensor) -> Tensor:
        """Which ReLUs (h,) switch between x and x + d, both (D,), by more than rounding."""
        a, after = self.w1 @ x + self.b1, self.w1 @ (x + d) + self.b1
        rounding = ROUNDING * (self.w1.abs() @ (x.abs() + d.abs()) + self.b1.abs())
        return ((a > 0) != (after > 0)) & (after.abs() > rounding)


def flattened(batch: Batch) -> tuple[Tensor, Tensor]:
    """x and x_target (B, D), float64."""
    return batch.x.double().flatten(1), batch.targets.double().flatten(1)
