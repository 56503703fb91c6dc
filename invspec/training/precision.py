"""The model as training calls it: in float32, or under bfloat16 autocast."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from invspec.kinds import ENCODERS, Attack
from invspec.training.fields import Precision


class InPrecision(nn.Module):
    """The model as training and its inner attacks, but needs_float32 ones, call it: the same weights, float32 in and out.

    Inside, bfloat16 is torch's autocast. Images come channels-last: on a CPU with AVX-512 that took 0.70 to 0.99 of the
    time in float32, and 0.53 to 0.98 in bfloat16, from LeNet to VGG16. encode and
    encode_with_log_det go the same way; what else the model offers (pixel_std, decode) stays as it is, in float32.
    """

    model: nn.Module

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.model, self.low = model, precision == "bfloat16"

    def __getattr__(self, name: str) -> Any:
        """Only asked for what is not this module's own."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            offered = getattr(super().__getattr__("model"), name)
            return partial(self._passed_through, offered) if name in ENCODERS else offered

    def forward(self, x: Tensor) -> Tensor:
        return self._passed_through(self.model, x)

    def _passed_through(self, function: Callable[[Tensor], Any], x: Tensor) -> Any:
        """What a function of images gives, a tensor or several."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.low):
            found = function(x.contiguous(memory_format=torch.channels_last))
        if not self.low:
            return found
        return (
            tuple(tensor.float() for tensor in found) if isinstance(found, tuple) else found.float()
        )


def searched_by(attack: Attack, model: nn.Module) -> nn.Module:
    """The model in training as an inner attack calls it: in float32, of whatever precision, where it is needs_float32."""
    if attack.needs_float32 and isinstance(model, InPrecision) and model.low:
        return InPrecision(model.model, "float32").train(model.training)
    return model
