"""Nets as attacks and measures see them: deployed, padded, perhaps in bfloat16."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from invspec.perform import bits
from invspec.perform.runtime import Runtime
from invspec.perform.train import fresh
from invspec.tasks import Perturb, Precision, Train

# On CPUs batches of any multiple of this run the same kernels. For fewer images, torch computes
# 1 x 1 convolutions with another library.
BLOCK = 16


class ModelProxy(nn.Module):
    """Stands before a deployed net and offers what the net offers: pixel_std, encode, decode."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def __getattr__(self, name: str) -> Any:
        """Only asked for what the face itself does not have."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("net"), name)


class Padded(ModelProxy):
    """A deployed net whose every batch is filled up to a multiple of BLOCK, so that batch size changes no number."""

    def __getattr__(self, name: str) -> Any:
        """What the net offers; of a bijection, both ways are filled up too."""
        found = super().__getattr__(name)
        return _filled_up(found) if name in ("encode", "encode_with_log_det", "decode") else found

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return _filled_up(self.net)(x)


def _filled_up(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of tensors (B, ...), whose last rows are repeated up to a multiple of BLOCK, cut back to B rows."""

    def called(*tensors: Tensor, **named: Tensor) -> Any:
        size = len(next(iter((*tensors, *named.values()))))
        if not (missing := -size % BLOCK):
            return function(*tensors, **named)

        def filled(x: Tensor) -> Tensor:
            return torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])

        results = function(*map(filled, tensors), **{name: filled(x) for name, x in named.items()})
        return (
            results[:size]
            if isinstance(results, Tensor)
            else tuple(result[:size] for result in results)
        )

    return called


class Bfloat16(ModelProxy):
    """A net searched in bfloat16 and channels-last, behind a float32 face; what else it offers stays in float32."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.low = copy.deepcopy(net).bfloat16().to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) float32 to logits (B, K) float32."""
        return self.low(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()


@lru_cache(maxsize=2)
def deployed(task: Train, runtime: Runtime) -> Padded:
    """The trained net of a task, padded, on the device of the runtime."""
    net = fresh(task)
    net.load_state_dict(dict(runtime.load(task).tensors))
    return Padded(task.model.deploy(net).to(runtime.device))


def searched(net: Padded, precision: Precision) -> Padded:
    """The net as an attack sees it."""
    return net if precision == "float32" else Padded(Bfloat16(net.net))


def promise(task: Perturb, runtime: Runtime) -> str:
    """Whether batch size changes no bit of what the attack sees of its net, in words."""
    return _promise(task.train, task.precision, runtime)


@lru_cache(maxsize=64)
def _promise(train: Train, precision: Precision, runtime: Runtime) -> str:
    net = searched(deployed(train, runtime), precision)
    return bits.promise(net, train.dataset.shape, runtime.device)
