"""Check whether batch size changes the last bits of a net's results on this machine.

The net sees one batch as a whole and cut in two; logits and input gradients are compared.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from invspec import cpu
from invspec.errors import first_line
from invspec.ops.types import Shape

PROMISED, BROKEN = "promised", "not promised: "
# batch size of the check; FEWER, to save time, for images of more than LARGE values
EXAMPLES, FEWER = 24, 16
LARGE = 4096
# size of the first part. It is odd, so that all rows of the second part are aligned differently
CUT = 7


def promise(net: nn.Module, shape: Shape, device: torch.device) -> str:
    """Returns "promised", or "not promised: " and the reason. net is the net that attacks see."""
    reason = dependence(net, shape, device)
    return BROKEN + reason if reason else PROMISED


def dependence(net: nn.Module, shape: Shape, device: torch.device) -> str | None:
    """Why results may depend on batch size, None if they are equal to the last bit."""
    if device.type == "cpu" and not cpu.ensure_prepared():
        return "torch was imported before invspec"
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return _dependence(net, _images(shape).to(device))
    except torch.OutOfMemoryError:
        return "the check does not fit into memory"
    except Exception as problem:
        # the net may reject noise; the task itself has succeeded
        return f"the check failed with {type(problem).__name__}: {first_line(problem)}"


def _images(shape: Shape) -> Tensor:
    """Uniform noise (B, C, H, W) in [0, 1], the same in every call."""
    channels, height, width = shape
    count = EXAMPLES if channels * height * width <= LARGE else FEWER
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def _dependence(net: nn.Module, x: Tensor) -> str | None:
    whole_batch = _results(net, x)
    parts = [_results(net, x[start:stop].clone()) for start, stop in pairwise((0, CUT, len(x)))]
    for name, expected in whole_batch.items():
        if not same_bits(torch.cat([part[name] for part in parts]), expected):
            return f"{name} change when a batch is split"
    return None


def _results(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Logits (B, K) and, if the net is differentiable, their gradient (B, C, H, W)."""
    x = x.requires_grad_()
    with torch.enable_grad():
        logits = net(x)
    if not logits.requires_grad:
        return {"logits": logits}
    # a different weight for each logit, so that differences do not cancel in the sum
    weights = torch.linspace(-1, 1, logits.shape[1], device=x.device, dtype=logits.dtype)
    (gradient,) = torch.autograd.grad(
        (logits * weights).sum(), x, allow_unused=True, materialize_grads=True
    )
    return {"logits": logits.detach(), "input gradients": gradient}


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal bit by bit, so that NaN equals NaN."""
    return a.shape == b.shape and torch.equal(
        a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8)
    )
