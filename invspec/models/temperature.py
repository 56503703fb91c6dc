"""A softmax temperature per image."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.kinds import Model, Number, Standardised
from invspec.ops.types import Shape
from invspec.registry.fields import ModelField, default


class Temperature(Model):
    """Any model with one more output r(x), which gives a temperature T(x) that divides the logits.

    mode softplus: T = floor + softplus(c + gain r). gain is trained and starts at 0. c makes T
    start at 1, within 1e-6, so that the net starts like the model alone, whatever its last layer. T
    stays above the floor and changes no prediction.

    mode raw: T = r, as in the authors' code. T may be 0 or negative, which reverses the ranking of
    the classes.

    During training the net adds penalty_weight * mean((T - 1)^2) to the loss.

    Deviates: the paper sums over the batch, so that its weight depends on the batch size.
    """

    # Version 1 rounded softplus differently.
    version: ClassVar[int] = 2

    model: ModelField = default(
        "model", "mlp", description="the model to which a temperature is added"
    )
    mode: Literal["softplus", "raw"] = Field(
        default="softplus", description="how T follows from r: softplus or raw"
    )
    floor: Number = Field(default=0.05, gt=0, lt=1, description="lower bound of T in mode softplus")
    penalty_weight: Number = Field(
        default=0.001, ge=0, description="weight of mean((T - 1)^2) in the loss"
    )

    @property
    def random_passes(self) -> int:
        return self.model.random_passes

    def build(self, shape: Shape, classes: int) -> TemperedNet:
        net = self.model.build(shape, classes + 1)
        link = _Softplus(self.floor) if self.mode == "softplus" else nn.Identity()
        kind = StandardisedTemperedNet if isinstance(net, Standardised) else TemperedNet
        return kind(net, link, self.penalty_weight)


class TemperedNet(nn.Module):
    """A net with K + 1 outputs, the last of which gives its temperature."""

    def __init__(self, net: nn.Module, link: nn.Module, penalty_weight: float) -> None:
        super().__init__()
        self.net, self.link, self.penalty_weight = net, link, penalty_weight
        # T (B,) of the last batch in train mode, with its graph.
        self._last_temperature: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K), divided by T."""
        logits, temperature = self._read(x)
        if self.training:
            self._last_temperature = temperature
        return logits / temperature.unsqueeze(1)

    def temperature(self, x: Tensor) -> Tensor:
        """T (B,) of x (B, C, H, W)."""
        return self._read(x)[1]

    def penalty(self) -> Tensor:
        """The term that training adds to its loss for the last batch in train mode.

        It can be called once per batch.
        """
        temperature = self._last_temperature
        assert temperature is not None, "penalty() needs a batch in train mode before each call"
        # Otherwise the graph would outlive the step.
        self._last_temperature = None
        return self.penalty_weight * (temperature - 1).square().mean()

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.net(x)
        # In bfloat16 T would be wrong by up to 1/128.
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        return outputs[:, :-1], self.link(outputs[:, -1])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the last batch: a tensor inside a graph can be neither copied nor pickled."""
        return {**self.__dict__, "_last_temperature": None}


class StandardisedTemperedNet(TemperedNet):
    """A TemperedNet around a net that standardises its input."""

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        return cast(Standardised, self.net).pixel_std


class _Softplus(nn.Module):
    """r (B,) to T (B,) above the floor; at the start T is 1 for every r, within 1e-6 in float32."""

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor, self.offset = floor, math.log(math.expm1(1 - floor))
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, r: Tensor) -> Tensor:
        # F.softplus rounds the last few examples of a batch differently.
        return self.floor - F.logsigmoid(-(self.offset + self.gain * r))
