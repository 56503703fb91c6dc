"""Random draws that do not depend on batch size, parts or device.

`PerExample` is for attacks and measures: an example's numbers depend only on a key and its index.
`Stream` is for training: one generator, whose state fits in a checkpoint.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from invspec.ops import philox


class Draws(Protocol):
    """A source of random tensors. The leading axis of every shape is the batch."""

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 in [0, 1)."""
        ...

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Float32, mean 0, standard deviation 1."""
        ...

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Int64 in [0, high)."""
        ...

    def take(self, rows: Tensor) -> Draws:
        """The draws for some examples of the batch, rows (M,) int64 or (B,) bool."""
        ...

    def named(self, name: str) -> Draws:
        """Draws that depend on name and example but not on the task: common random numbers."""
        ...


def digest(key: str) -> bytes:
    """SHA-256 of the key, 32 bytes."""
    return hashlib.sha256(key.encode()).digest()


def key_words(key: str) -> tuple[int, int]:
    """Philox has a key of 128 bits: half of the digest."""
    first, second = np.frombuffer(digest(key)[:16], dtype=np.uint64).tolist()
    return first, second


def bits(key: str, call: int, row: int, count: int, device: torch.device) -> Tensor:
    """int64 (count,) of 64 random bits each, by key, call and row; the same on every device."""
    if belongs_on_device(device, 1, count):
        start = torch.full((1,), row, device=device)
        return philox.words(philox.Counters(key_words(key), call, start), count)[0]
    generator = np.random.Philox(key=np.array(key_words(key), np.uint64), counter=[0, 0, call, row])
    return moved(torch.from_numpy(generator.random_raw(count).view(np.int64)), device)


# What PerExample's loop costs on the host, in microseconds, and what Philox costs in tensors: about
# 260 operations, whatever the number of examples.
PER_EXAMPLE, PER_NUMBER, IN_TENSORS = 16, 0.022, 2000

# Numbers that are drawn at once in tensors: 32 MB for each of about ten temporary tensors.
AT_ONCE = 2**23


def belongs_on_device(device: torch.device, examples: int, numbers: int) -> bool:
    """Whether to draw uniform numbers and integers in tensors rather than in a loop on the host."""
    cost = PER_EXAMPLE * examples + PER_NUMBER * numbers
    return device.type != "cpu" and cost > IN_TENSORS


def moved(drawn: Tensor, device: torch.device) -> Tensor:
    """A host tensor on the device; on a GPU the host does not wait for the copy."""
    if device.type == "cuda":
        return drawn.pin_memory().to(device, non_blocking=True)
    return drawn.to(device)


class PerExample:
    """Philox (Salmon et al. 2011), keyed by a string, with example index and call as counter.

    For many numbers on a GPU, uniform ones and integers are computed there, with the same bits.
    Normal ones come from numpy's ziggurat, on the host.
    """

    def __init__(self, key: str, index: Tensor, device: torch.device | str = "cpu") -> None:
        self.key, self.index, self.device = key, index.cpu(), torch.device(device)
        self._words = np.array(key_words(key), np.uint64)
        # A list, so that `take` can share it: call numbers then stay in step.
        self._calls = [0]

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 in [0, 1)."""
        if self._on_device(shape):
            return self._compute(shape, philox.uniform)
        return self._draw(shape, lambda generator, size: generator.random(size, dtype=np.float32))

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Float32, mean 0, standard deviation 1."""
        return self._draw(
            shape, lambda generator, size: generator.standard_normal(size, dtype=np.float32)
        )

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Int64 in [0, high)."""
        # above, numpy draws from 64 bits
        if high < 2**32 and self._on_device(shape):
            return self._compute(shape, partial(philox.integers, high))
        return self._draw(shape, lambda generator, size: generator.integers(high, size=size))

    def take(self, rows: Tensor) -> PerExample:
        """The draws for some examples of the batch; both objects share their call numbers."""
        taken = PerExample(self.key, self.index[rows.cpu()], self.device)
        taken._calls = self._calls
        return taken

    def named(self, name: str) -> PerExample:
        """Draws that depend on name and example only: common random numbers."""
        return PerExample(name, self.index, self.device)

    def _on_device(self, shape: tuple[int, ...]) -> bool:
        return belongs_on_device(self.device, shape[0], math.prod(shape))

    def _next_call(self, shape: tuple[int, ...]) -> int:
        assert shape[0] == len(self.index), f"draws for {shape[0]} examples of {len(self.index)}"
        call = self._calls[0]
        self._calls[0] += 1
        return call

    def _draw(
        self, shape: tuple[int, ...], sample: Callable[[np.random.Generator, tuple[int, ...]], Any]
    ) -> Tensor:
        call = self._next_call(shape)
        generators = (
            # a draw advances the low words of the counter; call and example in the high words keep
            # draws from overlapping
            np.random.Generator(np.random.Philox(key=self._words, counter=[0, 0, call, i]))
            for i in self.index.tolist()
        )
        drawn = np.stack(
            [np.asarray(sample(generator, tuple(shape[1:]))) for generator in generators]
        )
        return moved(torch.from_numpy(drawn), self.device)

    def _compute(
        self, shape: tuple[int, ...], sample: Callable[[philox.Counters, int], Tensor]
    ) -> Tensor:
        call, count = self._next_call(shape), math.prod(shape[1:])
        rows = moved(self.index, self.device).split(max(1, AT_ONCE // max(1, count)))
        drawn = [sample(philox.Counters(key_words(self.key), call, part), count) for part in rows]
        return torch.cat(drawn).view(shape)


class Stream:
    """One generator, seeded by a string. Draws on the CPU, so that a GPU gets the same numbers."""

    def __init__(self, key: str, device: torch.device | str = "cpu") -> None:
        self.key, self.device = key, torch.device(device)
        # 63 bits, because torch's seeds are signed
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest(key)[:8], "big") >> 1)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Float32 in [0, 1)."""
        return moved(torch.rand(tuple(shape), generator=self.generator), self.device)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Float32, mean 0, standard deviation 1."""
        return moved(torch.randn(tuple(shape), generator=self.generator), self.device)

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Int64 in [0, high)."""
        return moved(torch.randint(high, tuple(shape), generator=self.generator), self.device)

    def fork(self, name: str) -> Stream:
        """A new stream that depends on this one's key and on name, not on what was drawn so far."""
        return Stream(f"{self.key}/{name}", self.device)

    def permutation(self, n: int) -> Tensor:
        """A random permutation of 0 .. n - 1, int64 (n,) on the CPU."""
        return torch.randperm(n, generator=self.generator)

    def take(self, rows: Tensor) -> Stream:
        """The stream itself: in training, draws do not belong to examples."""
        return self

    def named(self, name: str) -> Stream:
        """The stream itself: training uses fresh numbers."""
        return self
