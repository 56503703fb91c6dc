"""The model as a training calls it: in float32, in TF32, or under bfloat16 autocast."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from invspec.kinds import ENCODERS, Attack
from invspec.ops.proxy import ModelProxy
from invspec.ops.switches import multiplying_in_tf32
from invspec.training.fields import PrecisionName


class InPrecision(ModelProxy):
    """A model in the precision of its training: the same weights, float32 in and out.

    In bfloat16 the net runs under torch's autocast. Images are passed channels-last: on a CPU with
    AVX-512 that took 0.70 to 0.99 of the time in float32, and 0.53 to 0.98 in bfloat16, from LeNet
    to VGG16. A bijection's encoders are called likewise. Everything else that the model offers
    (pixel_std, decode) is passed on unchanged, in float32.

    In tf32 the proxy is that of float32: `products` rounds what the whole training multiplies.
    """

    routed = ENCODERS

    def __init__(self, model: nn.Module, precision: PrecisionName) -> None:
        assert precision != "auto", "a plan chooses the precision before anything is trained"
        super().__init__(model)
        self.precision: PrecisionName = precision
        self.low = precision == "bfloat16"

    def call(self, function: Callable[..., Any], *tensors: Tensor, **named: Tensor) -> Any:
        """The tensor, or tuple of tensors, that a function of images returns."""
        # the net and its encoders take images and nothing else
        (x,) = (*tensors, *named.values())
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.low):
            outputs = function(x.contiguous(memory_format=torch.channels_last))
        if not self.low:
            return outputs
        if isinstance(outputs, tuple):
            return tuple(tensor.float() for tensor in outputs)
        return outputs.float()


@contextmanager
def products(precision: PrecisionName) -> Generator[None]:
    """Multiply as a training in this precision does; the switches of before are restored.

    In tf32, GPUs round the factors of matrix products and convolutions of float32 to TF32, forward
    and backward: those of the model, of the loss and of modules trained beside the model. On a CPU
    and on other devices tf32 gives the bits of float32, but its tasks have keys of their own.
    """
    if precision == "tf32":
        with multiplying_in_tf32(True):
            yield
    else:
        yield


@contextmanager
def searchable(net: nn.Module, attack: Attack) -> Generator[nn.Module]:
    """The net that an inner attack searches on: in float32 if the attack needs it."""
    if attack.needs_float32 and isinstance(net, InPrecision) and net.precision != "float32":
        with multiplying_in_tf32(False):
            # a new module is in train mode, whatever the net's mode
            yield InPrecision(net.net, "float32").train(net.training)
    else:
        yield net
