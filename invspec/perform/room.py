"""The first batch of an attack on a GPU: as large as memory allows.

Batches that turn out not to fit are halved all the same (`memory.pieces`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from invspec import memory
from invspec.memory import BLOCK, Limit

# The part of the free memory that a pass with its gradient may take. A recorded pass takes as much
# again, and an attack keeps some images beside them.
PART = 0.4


class Card(Protocol):
    """The memory of a device, of which a worker has a share."""

    def free(self) -> int:
        """Bytes that this worker may still take."""
        ...

    def peak(self, run: Callable[[], object]) -> int:
        """Bytes that a run takes at most, beside those taken before it."""
        ...


class CudaCard:
    """The memory of a GPU."""

    def __init__(self, device: torch.device, share: float) -> None:
        self.device, self.share = device, share

    def free(self) -> int:
        """What nobody has, at most this worker's share of the card less what it has."""
        nobodys, total = torch.cuda.mem_get_info(self.device)
        own = torch.cuda.memory_allocated(self.device)
        cached = torch.cuda.memory_reserved(self.device) - own
        return min(nobodys + cached, int(self.share * total) - own)

    def peak(self, run: Callable[[], object]) -> int:
        """Measured by torch's allocator."""
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        run()
        return torch.cuda.max_memory_allocated(self.device) - before


def card_on(device: torch.device, share: float) -> Card | None:
    """The memory of a device; None for a CPU, whose batches are small."""
    return CudaCard(device, share) if device.type == "cuda" else None


def fit(limit: Limit, net: nn.Module, x: Tensor, card: Card | None) -> None:
    """Limit batches to those that fit, judged by a pass on the first images of x (B, C, H, W).

    Limits are powers of two, so that a little more or less memory seldom changes a batch.
    """
    if card is None or limit.is_measured or len(x) <= BLOCK:
        return
    limit.is_measured = True
    try:
        cost = _cost(net, x[:BLOCK], card)
    except RuntimeError as problem:
        # the attack will find the size that fits, or say what is wrong
        if memory.is_lacking(problem):
            limit.most = BLOCK
        return
    rows = max(BLOCK, int(PART * card.free() / cost))
    limit.most = 1 << rows.bit_length() - 1


def _cost(net: nn.Module, x: Tensor, card: Card) -> float:
    """Bytes per example of a pass with the gradient to the image."""
    with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
        # the first pass loads kernels and takes workspaces, which stay
        _pass(net, x)
        return max(1, card.peak(lambda: _pass(net, x))) / len(x)


def _pass(net: nn.Module, x: Tensor) -> None:
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = net(leaf)
    if logits.requires_grad:
        torch.autograd.grad(logits.sum(), leaf)
