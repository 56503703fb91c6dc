"""Devices and hooks of torch modules, flags that stay on the CPU, weights frozen for a while."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from invspec.ops.types import Shape


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's weights, or else of its buffers; the CPU if it has neither."""
    tensor = next(itertools.chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device


@torch.no_grad()
def with_sizes(net: nn.Module, shape: Shape) -> nn.Module:
    """The net after layers that take their sizes from images, as nn.LazyLinear, have seen some."""
    if any(map(is_lazy, [*net.parameters(), *net.buffers()])):
        was_training = net.training
        net.eval()(torch.zeros(2, *shape))
        net.train(was_training)
    return net


def moved(net: nn.Module, device: torch.device) -> nn.Module:
    """The net on a device, with tensors that are neither parameters nor buffers."""
    for module in net.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, value.to(device))
    return net.to(device)


class HostFlags(nn.Module):
    """Base class of modules with buffers, `host_flags`, that stay on the CPU.

    Code that branches on such a buffer at every pass would otherwise wait for the device each time.
    """

    host_flags: ClassVar[tuple[str, ...]] = ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert everything else; torch calls this for `to`, `cuda`, `half` and such."""
        flags = {name: self._buffers[name] for name in self.host_flags}
        super()._apply(fn, recurse)
        self._buffers.update(flags)
        return self


def hooks_of(module: nn.Module) -> tuple[dict[int, Any], ...]:
    """The dicts of a module's own hooks, which stay the same objects."""
    names = ("forward", "forward_pre", "backward", "backward_pre")
    return tuple(getattr(module, f"_{name}_hooks") for name in names)


@contextmanager
def frozen(model: nn.Module) -> Generator[None]:
    """Freeze a model's weights, and on exit unfreeze those that were not frozen before."""
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trainable:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trainable:
            weight.requires_grad_()
