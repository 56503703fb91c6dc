"""Dropout masks from draws of our own, so that a GPU drops the units that a CPU drops."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from invspec.ops.draws import bits

# A unit is dropped by 16 random bits; its rate is therefore rounded to a multiple of 2 ** -16.
LEVELS, UNITS_PER_WORD = 2**16, 4


def _units(layer: Any, x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)


def _channels(layer: Any, x: Tensor) -> tuple[int, ...]:
    return (*x.shape[:2], *[1] * (x.ndim - 2))


def _depth(layer: Any, x: Tensor) -> tuple[int, ...]:
    return (len(x) if layer.mode == "row" else 1, *[1] * (x.ndim - 1))


# The shape of a layer's mask, by the name of its class: most nets do not need torchvision, which
# takes long to import. A subclass may drop otherwise, so that only these classes count.
SHAPES: dict[str, Callable[[Any, Tensor], tuple[int, ...]]] = {
    "torch.nn.modules.dropout.Dropout": _units,
    "torch.nn.modules.dropout.Dropout1d": _channels,
    "torch.nn.modules.dropout.Dropout2d": _channels,
    "torch.nn.modules.dropout.Dropout3d": _channels,
    "torchvision.ops.stochastic_depth.StochasticDepth": _depth,
}


def _name(layer: nn.Module) -> str:
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


@dataclass
class Masked:
    """The forward pass of a dropout layer with masks by key, place and number of calls."""

    layer: Any
    key: str
    place: int
    calls: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Drop units of x (B, ...) in training; x itself in eval mode."""
        if not self.layer.training or not self.layer.p:
            return x
        shape = SHAPES[_name(self.layer)](self.layer, x)
        words = -(-math.prod(shape) // UNITS_PER_WORD)
        drawn = bits(self.key, self.calls, self.place, words, x.device)
        self.calls += 1
        return x * mask(drawn, shape, self.layer.p).to(x.dtype)


@contextmanager
def own_masks(modules: Iterable[nn.Module], seed: int) -> Generator[None]:
    """Inside the block, the dropout layers among modules draw their masks from seed.

    A mask depends on the seed, on the layer's place among the dropout layers, and on how often the
    layer was called. What a net drops by other means (functional dropout, classes of its own) still
    draws from the generator of its device.
    """
    layers = [layer for layer in dict.fromkeys(modules) if _is_dropout(layer)]
    for place, layer in enumerate(layers):
        # set on the layer itself, where it hides the method of its class
        layer.forward = Masked(layer, f"dropout {seed}", place)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _is_dropout(layer: nn.Module) -> bool:
    return _name(layer) in SHAPES and "forward" not in vars(layer)


def mask(drawn: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
    """Float32: 0 for the share `rate` of units, 1 / (1 - rate) for the others.

    drawn, int64 (ceil(units / 4),), holds 16 random bits for each unit.
    """
    dropped = round(rate * LEVELS)
    if dropped == LEVELS:
        return drawn.new_zeros(shape, dtype=torch.float32)
    units = drawn.view(torch.int16)[: math.prod(shape)].view(shape)
    # int16 begins at -LEVELS / 2
    kept = units >= dropped - LEVELS // 2
    return kept * (LEVELS / (LEVELS - dropped))
