"""Passes of a net that are recorded once and replayed in the same tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

import torch
from torch import Tensor, nn

Work = Callable[[], Tensor]
Replay = Callable[[], None]


class Recorder(Protocol):
    """Records work on the device of one net, so that it can be replayed."""

    def settings(self) -> Hashable:
        """Settings of the device's libraries that choose the kernels of a pass."""
        ...

    def rehearse(self, work: Work) -> Tensor:
        """Do the work. Raises: RuntimeError if it waits for the device, as nothing recorded may."""
        ...

    def record(self, work: Work) -> tuple[Tensor, Replay]:
        """Record work. Returns its result, and a function that repeats it in place.

        Whatever the work computes, its result included, holds until other work of this recorder is
        recorded or replayed, except that work which needs it. Raises: RuntimeError if the work
        cannot be recorded.
        """
        ...


class Passes:
    """Recorded passes for inputs of one kind, in tensors that every replay uses again."""

    def __init__(self, net: nn.Module, like: Tensor, gradient: bool, recorder: Recorder) -> None:
        self.net, self.has_gradient = net, gradient
        self.x = torch.empty_like(like).copy_(like.detach()).requires_grad_(gradient)
        logits = recorder.rehearse(self._forward)
        if gradient:
            self.slope = torch.zeros(logits.shape, dtype=logits.dtype, device=logits.device)
            recorder.rehearse(lambda logits=logits: self._backward(logits))
        # with a graph goes the memory of its pass, which the next recording may use
        del logits
        self._graph: Tensor | None = None
        self.logits, self._replay_forward = recorder.record(self._recorded_forward)
        if gradient:
            self.gradient, self._replay_backward = recorder.record(self._recorded_backward)
        self._graph = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) for x (B, C, H, W), as a new tensor."""
        with torch.no_grad():
            self.x.copy_(x)
            self._replay_forward()
            return self.logits.clone()

    def backward(self, slope: Tensor) -> Tensor:
        """Gradient (B, C, H, W) after `forward`, where slope (B, K) is that of the logits."""
        self.slope.copy_(slope)
        self._replay_backward()
        return self.gradient.clone()

    def _forward(self) -> Tensor:
        with torch.set_grad_enabled(self.has_gradient):
            return self.net(self.x)

    def _backward(self, logits: Tensor) -> Tensor:
        # retained, because a search may ask for several gradients of one pass
        return torch.autograd.grad(logits, self.x, self.slope, retain_graph=True)[0]

    def _recorded_forward(self) -> Tensor:
        self._graph = self._forward()
        return self._graph.detach()

    def _recorded_backward(self) -> Tensor:
        assert self._graph is not None, "a backward pass before its forward pass"
        return self._backward(self._graph)
