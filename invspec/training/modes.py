"""Temporary states of a model and of the global generators during training."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

from invspec.ops.draws import Stream
from invspec.ops.generators import seed_torch
from invspec.ops.modules import frozen


@contextmanager
def seeded(rng: Stream, device: torch.device) -> Generator[int]:
    """Seed torch's global generators, and restore them at the end. Yields the seed, from rng."""
    seed = int(rng.integers(2**62, (1,)).item())
    # without a list of devices, fork_rng would copy the state of every GPU
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        seed_torch(seed)
        yield seed


@contextmanager
def attackable(model: nn.Module) -> Generator[nn.Module]:
    """The model in eval mode with frozen weights, as attacks see it; restored at the end."""
    training = model.training
    try:
        # freeze before eval: equivariant layers cache filters in eval, which must not hold a graph
        with frozen(model):
            model.eval()
            yield model
    finally:
        model.train(training)
