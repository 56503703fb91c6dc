"""Passes through a net that are recorded once for a shape, and then replayed.

On a GPU, small nets launch kernels more slowly than these compute. A CUDA graph launches a recorded
pass at once. A replay gives the bits of the pass itself: this is checked once for each shape, and
all that a replay cannot do, the net does.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from invspec import memory
from invspec.errors import first_line
from invspec.ops.modules import hooks_of
from invspec.perform.bits import same_bits
from invspec.perform.recording import Passes, Recorder

# where a weight or buffer is, how often it was changed in place, and whether it is trained
Weight = tuple[int, int, bool]

# passes of a shape before it is recorded, and shapes of a net that are recorded
EAGER, MOST = 5, 8

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """All that two passes must share to be replays of one recording."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    gradient: bool
    settings: Hashable


class Graphs:
    """A net for which passes of shapes that repeat are replayed.

    Weights, hooks and modes of the net may change at any time: recordings of other weights are
    dropped, and a net with hooks, or one in training, is called as it is.
    """

    def __init__(self, net: nn.Module, recorder: Recorder) -> None:
        self.net, self.recorder = net, recorder
        self.turn = 0
        self._passes: dict[Kind, Passes | None] = {}
        self._calls: Counter[Kind] = Counter()
        self._off = False
        # asked at every pass, so in the fastest form: net.parameters() takes ten times as long
        self._modules = list(net.modules())
        self._tables = [
            table
            for module in self._modules
            for table in (module._parameters, module._buffers)  # pyright: ignore[reportPrivateUsage]
            if table
        ]
        self._hooks = [hooks for module in self._modules for hooks in hooks_of(module)]
        self._weights: list[Weight] = []
        memory.frees(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy has recorded nothing."""
        return type(self)(copy.deepcopy(self.net, memo), self.recorder)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        passes = self._passes_for(x)
        if passes is None:
            return self.net(x)
        if passes.has_gradient:
            return _Replayed.apply(x, self, passes)
        self.turn += 1
        return passes.forward(x)

    def release(self) -> None:
        """Free the memory of all recordings. There will be no others."""
        self._off = True
        self._passes.clear()

    def _passes_for(self, x: Tensor) -> Passes | None:
        """The recorded passes that can be replayed for x."""
        if self._off or not self._allows(x):
            return None
        weights = self._state()
        if any(is_trained for _, _, is_trained in weights):
            return None
        if weights != self._weights:
            self._weights = weights
            self._passes.clear()
            self._calls.clear()
        gradient = memory.has_graph(x)
        kind = Kind(tuple(x.shape), x.stride(), gradient, self.recorder.settings())
        if kind not in self._passes and self._is_due(kind):
            self._passes[kind] = self._recorded(kind, x)
        return self._passes.get(kind)

    def _is_due(self, kind: Kind) -> bool:
        self._calls[kind] += 1
        return self._calls[kind] > EAGER and len(self._passes) < MOST

    # ─ what cannot be replayed ─

    def _allows(self, x: Tensor) -> bool:
        """Whether the net as it is now, and what surrounds it, allow a replay for x."""
        return (
            len(x) > 0
            and x.dtype == torch.float32
            and x.is_contiguous()
            and type(x) in (Tensor, nn.Parameter)
            and not _is_observed(x)
            and not any(self._hooks)
            and not any(module.training for module in self._modules)
        )

    def _state(self) -> list[Weight]:
        """The state of all weights and buffers."""
        return [
            (tensor.data_ptr(), tensor._version, tensor.requires_grad)
            for table in self._tables
            for tensor in table.values()
            if tensor is not None
        ]

    # ─ recording ─

    def _recorded(self, kind: Kind, x: Tensor) -> Passes | None:
        """Passes of a kind; None, with a line in the log, if replays are not as good as passes."""
        # those that wait for their backward pass lose their memory
        self.turn += 1
        try:
            # a net that draws must not notice the passes of the recording
            with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
                passes = Passes(self.net, x, kind.gradient, self.recorder)
                is_exact = self._is_exact(passes, x)
            if is_exact:
                return passes
            problem = "a replay gives other bits"
        except Exception as error:
            problem, lacking = first_line(error), memory.is_lacking(error)
            # most likely, what failed here fails for other shapes, too
            self.release()
        else:
            lacking = False
        if lacking:
            # after the except block, whose exception holds the frames that hold the memory
            memory.release()
        name = type(self.net).__name__
        log.warning("%s runs without CUDA graphs on %s: %s", name, kind.shape, problem)
        return None

    def _is_exact(self, passes: Passes, x: Tensor) -> bool:
        """Whether replays give the bits of the net, also for other images and in turn."""
        return all(self._agrees(passes, images) for images in (x, x / 2, x))

    def _agrees(self, passes: Passes, x: Tensor) -> bool:
        x = x.detach()
        if not passes.has_gradient:
            with torch.no_grad():
                return same_bits(passes.forward(x), self.net(x))
        leaf = x.clone().requires_grad_()
        logits = self.net(leaf)
        # a different weight for each logit, so that differences do not cancel
        weights = torch.linspace(-1, 1, logits.numel(), device=x.device).view_as(logits)
        (gradient,) = torch.autograd.grad(logits, leaf, weights)
        return same_bits(passes.forward(x), logits.detach()) and same_bits(
            passes.backward(weights), gradient
        )


class _Replayed(torch.autograd.Function):
    """A replayed pass as one step of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, graphs: Graphs, passes: Passes) -> Tensor:
        graphs.turn += 1
        ctx.save_for_backward(x)
        ctx.graphs, ctx.passes, ctx.turn = graphs, passes, graphs.turn
        return passes.forward(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        (slope,), graphs, passes = slopes, ctx.graphs, ctx.passes
        if torch.is_grad_enabled() or slope.stride() != passes.slope.stride():
            # a gradient with a graph of its own, or a layout that may choose other kernels
            (x,) = ctx.saved_tensors
            return _gradient(graphs.net, x, slope), None, None
        if graphs.turn != ctx.turn:
            # another pass has used the memory of this one
            (x,) = ctx.saved_tensors
            graphs.turn += 1
            ctx.turn = graphs.turn
            passes.forward(x)
        return passes.backward(slope), None, None


def _gradient(net: nn.Module, x: Tensor, slope: Tensor) -> Tensor:
    """The gradient at x of a pass of the net itself."""
    keeps_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = x if keeps_graph else x.detach().requires_grad_()
        logits = net(leaf)
    return torch.autograd.grad(logits, leaf, slope, create_graph=keeps_graph)[0]


def _is_observed(x: Tensor) -> bool:
    """Whether somebody looks at the operations of a pass, or changes them, from outside."""
    return (
        memory.is_undivided()
        or torch.is_autocast_enabled(x.device.type)
        or torch.is_inference_mode_enabled()
        or forward_ad.unpack_dual(x).tangent is not None
        or any(count() for count in _STACKS)
    )


# torch.func transforms, and modes that see every operation; torch has no public names for them
_STACKS: tuple[Callable[[], int], ...] = tuple(
    getattr(torch._C, name)  # pyright: ignore[reportPrivateUsage]
    for name in (
        "_are_functorch_transforms_active",
        "_len_torch_function_stack",
        "_len_torch_dispatch_stack",
    )
    if hasattr(torch._C, name)  # pyright: ignore[reportPrivateUsage]
)
