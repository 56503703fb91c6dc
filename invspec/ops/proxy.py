"""A net that wraps another net."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn


class ModelProxy(nn.Module):
    """Stands in for a net and has all of the net's attributes, such as pixel_std or encode.

    Every call of the net, and of its methods listed in `routed`, passes through `call`, which a
    subclass overrides to change the tensors that go in and come out.
    """

    routed: ClassVar[tuple[str, ...]] = ()

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def __getattr__(self, name: str) -> Any:
        """Python calls this only for names that the proxy itself does not have."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            # not self.net, which would recurse while a copy or an unpickled proxy has no net yet
            attribute = getattr(super().__getattr__("net"), name)
        return partial(self.call, attribute) if name in self.routed else attribute

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return self.call(self.net, x)

    def call(self, function: Callable[..., Any], *tensors: Tensor, **named: Tensor) -> Any:
        """Call the net, or one of its routed methods, on batches of tensors."""
        return function(*tensors, **named)
