"""Modes and devices of a model in training."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.ops.draws import Stream


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are. Raises InvspecError where it has none."""
    weight = next(model.parameters(), None)
    if weight is None:
        raise InvspecError("the model has no weights to train", hint="take the defence untrained")
    return weight.device


@contextmanager
def seeded(rng: Stream, device: torch.device) -> Generator[None]:
    """Seed torch's global generators, which dropout draws from, and put them back at the end."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(rng.integers(2**62, (1,)).item()))
        yield


@contextmanager
def attackable(model: nn.Module) -> Generator[nn.Module]:
    """The model as attacks see it, in eval mode with weights that need no gradient; both as before at the end."""
    learning, training = (
        [weight for weight in model.parameters() if weight.requires_grad],
        model.training,
    )
    model.requires_grad_(
        False
    )  # before eval: equivariant layers then keep filters, which must hold no graph
    model.eval()
    try:
        yield model
    finally:
        for weight in learning:
            weight.requires_grad_()
        model.train(training)
