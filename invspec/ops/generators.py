"""The global random generators of torch, numpy and Python, seeded for a block."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from invspec.ops.draws import digest

# names of the generators that a block has drawn from
Moved = Callable[[], list[str]]


@contextmanager
def seeded(key: str) -> Generator[Moved]:
    """Seed the global generators by a text; restore their states at the end.

    Yields a function that names those that the block has drawn from so far.
    """
    with seeded_by(int.from_bytes(digest(key)[:8], "big") >> 1):
        before = _states()
        yield lambda: [name for name, state in _states().items() if not _same(state, before[name])]


@contextmanager
def seeded_by(seed: int) -> Generator[None]:
    """Seed the global generators by a number of at most 63 bits; restore their states at the end.

    numpy takes its lowest 32 bits.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        seed_torch(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def seed_torch(seed: int) -> None:
    """Seed torch on the CPU and on GPUs that have started.

    Where none has, torch.manual_seed spends a tenth of a millisecond on the stack of its caller.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def _states() -> dict[str, Any]:
    """The state of each generator, by the name of its library or device."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    return {
        "torch": torch.get_rng_state(),
        **{f"torch on cuda:{i}": torch.cuda.get_rng_state(i) for i in devices},
        "numpy": np.random.get_state(legacy=False),
        "random": random.getstate(),
    }


def _same(state: Any, other: Any) -> bool:
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    if isinstance(state, dict):
        # numpy's: an array of words, and places in it
        return _comparable(state) == _comparable(other)
    return bool(state == other)


def _comparable(state: dict[str, Any]) -> tuple[bytes, tuple[Any, ...]]:
    """numpy's state as values that can be compared."""
    inner = state["state"]
    return inner["key"].tobytes(), (inner["pos"], state["has_gauss"], state["gauss"])
