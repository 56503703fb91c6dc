"""Whether batch size changes the last bits of a net's results on this machine: one batch, whole and in parts."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from invspec import cpu
from invspec.errors import first_line
from invspec.ops.types import Shape

PROMISED, BROKEN = "promised", "not promised: "
EXAMPLES = 24  # of the batch
FEWER, LARGE = 16, 4096  # as many where an image has more numbers than this
CUT = 7  # odd: in the second part, every example has another place and another alignment


def promise(net: nn.Module, shape: Shape, device: torch.device) -> str:
    """ "promised", or "not promised: " and the reason. net is what attacks see of a deployed net."""
    reason = dependence(net, shape, device)
    return BROKEN + reason if reason else PROMISED


def dependence(net: nn.Module, shape: Shape, device: torch.device) -> str | None:
    """Why results may depend on batch size, or None where logits and input gradients do not, to the last bit."""
    if device.type == "cpu" and not cpu.prepared():
        return "torch was imported before invspec"
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return _dependence(net, _images(shape).to(device))
    except torch.OutOfMemoryError:
        return "the check does not fit into memory"
    except Exception as problem:  # a net that takes no noise: the task itself has succeeded
        return f"the check failed with {type(problem).__name__}: {first_line(problem)}"


def _images(shape: Shape) -> Tensor:
    """Noise in [0, 1], (B, C, H, W), always the same."""
    channels, height, width = shape
    count = EXAMPLES if channels * height * width <= LARGE else FEWER
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def _dependence(net: nn.Module, x: Tensor) -> str | None:
    together = _results(net, x)
    parts = [_results(net, x[start:stop].clone()) for start, stop in pairwise((0, CUT, len(x)))]
    for name, expected in together.items():
        if not _same_bits(torch.cat([part[name] for part in parts]), expected):
            return f"{name} change when a batch is split"
    return None


def _results(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Logits (B, K), and the gradient (B, C, H, W) of a weighted sum of them, if the net has one."""
    x = x.requires_grad_()
    with torch.enable_grad():
        logits = net(x)
    if not logits.requires_grad:
        return {"logits": logits}
    weights = torch.linspace(-1, 1, logits.shape[1], device=x.device, dtype=logits.dtype)
    (gradient,) = torch.autograd.grad(
        (logits * weights).sum(), x, allow_unused=True, materialize_grads=True
    )
    return {"logits": logits.detach(), "input gradients": gradient}


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """NaN equals NaN."""
    return a.shape == b.shape and torch.equal(
        a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8)
    )
