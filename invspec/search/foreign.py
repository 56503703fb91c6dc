"""Running attacks of another library: count passes, seed generators, suppress warnings."""

from __future__ import annotations

import random
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


class Counting(nn.Module):
    """A net that counts the examples in its forward and backward passes.

    A foreign attack runs the net itself, so its passes cannot go through a `Search`.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net, 0, 0
        # only of this wrapper, since Foolbox warns about train mode; the net keeps its mode
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        logits = self.net(x)
        self.forwards += len(x)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@contextmanager
def quiet() -> Generator[None]:
    """Suppress warnings, which concern the other library's own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def all_seeded(seed: int) -> Generator[None]:
    """Seed the global generators of torch, numpy and Python; restore their states afterwards."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
