"""Running attacks of another library: count passes, suppress warnings."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from torch import Tensor, nn


class Counting(nn.Module):
    """A net that counts the examples in its forward and backward passes.

    A foreign attack runs the net itself, so its passes cannot go through a `Search`.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net, 0, 0
        # only of this wrapper, since Foolbox warns about train mode
        self.training = False

    def train(self, mode: bool = True) -> Counting:
        """Do nothing: the net keeps its mode, whatever a library sets."""
        return self

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
    """Suppress warnings and prints, which concern the other library's own code."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        yield
