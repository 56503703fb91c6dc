"""A softmax temperature of each image's own."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.kinds import Model, Number, Standardised
from invspec.models.mlp import MLP
from invspec.ops.types import Shape
from invspec.registry.fields import ModelField


class Temperature(Model):
    """Any model with one more output r(x), from which its temperature T(x) comes; logits are divided by it.

    mode softplus: T = floor + softplus(c + gain r). gain is trained and starts at 0, and c makes T = 1 there, within
    1e-6, so that the net starts as its model would, whatever its last layer is. T stays above the floor and changes no
    prediction.

    mode raw: T = r, as in the authors' code. It may be 0 or negative, which turns the ranking of classes around.

    While it trains, the net adds penalty_weight * mean((T - 1)^2) to the loss.

    Deviates: the paper has the sum over the batch, so that its weight depends on the batch size.
    """

    version: ClassVar[int] = 2  # 1 computed softplus with other last bits

    model: ModelField = Field(default=MLP(), description="what is given a temperature")
    mode: Literal["softplus", "raw"] = Field(
        default="softplus", description="how T comes from the unit: see above"
    )
    floor: Number = Field(default=0.05, gt=0, lt=1, description="mode softplus: what T stays above")
    penalty_weight: Number = Field(
        default=0.001, ge=0, description="weight of mean((T - 1)^2) in the loss"
    )

    def build(self, shape: Shape, classes: int) -> TemperedNet:
        net = self.model.build(shape, classes + 1)
        link = _Softplus(self.floor) if self.mode == "softplus" else nn.Identity()
        kind = StandardisedTemperedNet if isinstance(net, Standardised) else TemperedNet
        return kind(net, link, self.penalty_weight)


class TemperedNet(nn.Module):
    """A net with K + 1 outputs, of which the last is what its temperature is made of."""

    def __init__(self, net: nn.Module, link: nn.Module, penalty_weight: float) -> None:
        super().__init__()
        self.net, self.link, self.penalty_weight = net, link, penalty_weight
        self._seen: Tensor | None = (
            None  # T (B,) of the batch last seen in train mode, with its graph
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K), already over T."""
        logits, temperature = self._read(x)
        if self.training:
            self._seen = temperature
        return logits / temperature.unsqueeze(1)

    def temperature(self, x: Tensor) -> Tensor:
        """T (B,) of x (B, C, H, W)."""
        return self._read(x)[1]

    def penalty(self) -> Tensor:
        """What the training adds to its loss for the batch last seen in train mode; a batch is penalised once."""
        assert self._seen is not None, "there is a penalty after a batch in train mode, once"
        seen, self._seen = self._seen, None  # or its graph would outlive the step
        return self.penalty_weight * (seen - 1).square().mean()

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.net(x)
        outputs = outputs.to(
            torch.promote_types(outputs.dtype, torch.float32)
        )  # of bfloat16, T would be 1/128 off
        return outputs[:, :-1], self.link(outputs[:, -1])

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles have no batch behind them: a tensor inside a graph cannot be copied."""
        return {**self.__dict__, "_seen": None}


class StandardisedTemperedNet(TemperedNet):
    """The same around a net that standardises its input."""

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        return cast(Standardised, self.net).pixel_std


class _Softplus(nn.Module):
    """r (B,) to T (B,) above the floor: 1 for every r at the start, within 1e-6 in float32."""

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor, self.offset = floor, math.log(math.expm1(1 - floor))
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, r: Tensor) -> Tensor:
        # softplus itself has other last bits for the last few examples of a batch
        return self.floor - F.logsigmoid(-(self.offset + self.gain * r))
