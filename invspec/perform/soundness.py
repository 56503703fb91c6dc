"""Whether a deployed net is a function of the image alone.

A net may change its images in place, answer an image otherwise in another batch, or draw random
numbers. Numbers measured on it would then hang on the batch size, or on chance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from invspec.memory import BLOCK
from invspec.ops.generators import seeded
from invspec.ops.proxy import ModelProxy
from invspec.perform.untouched import changes, state_of

# Largest difference between the logits of an image in two batches, as a share of the largest logit.
# Rounding differs between kernels for batches of different sizes; statistics of a batch are far
# above it.
TOLERANCE = 1e-3


class Flaw(NamedTuple):
    """Why a net is no function of the image: a sentence about it, and a hint.

    is_random: it draws from the global generators, so that its numbers repeat where these are
    seeded.
    stops_checks: checks cannot look at it either. Of other flaws they tell.
    """

    message: str
    hint: str
    is_random: bool = False
    stops_checks: bool = False


class Findings(NamedTuple):
    """What a few passes say about a net.

    own_changes names weights and buffers that the net itself changes in a pass, such as counters.
    """

    flaw: Flaw | None = None
    own_changes: frozenset[str] = frozenset()


def examine(net: ModelProxy, x: Tensor) -> Findings:
    """Judge a net by a few passes with images x (N, C, H, W), at least one."""
    before = state_of(net.net)
    flaw = _flaw(net, x)
    return Findings(flaw, frozenset(changes(before, state_of(net.net))))


@torch.no_grad()
def _flaw(net: nn.Module, x: Tensor) -> Flaw | None:
    """The flaw of a net, None if it is a function of the image."""
    x = _probes(x)
    with seeded("soundness") as moved:
        logits, has_changed = _pass(net, x)
        draws = moved()
        if not isinstance(logits, Tensor):
            kind = type(logits).__name__
            return Flaw(
                f"returns a {kind}, expected logits",
                "return one row of logits per image",
                stops_checks=True,
            )
        if has_changed:
            return _IN_PLACE
        if draws and not _are_close(_pass(net, x)[0], logits, 0):
            return _random(draws)
    # others beside it in the same number, and then in a larger number
    half = torch.arange(BLOCK // 2)
    for rows in (torch.arange(BLOCK).flip(0), half.repeat(4)):
        if _differs(net, x, logits, rows):
            is_steady = not _differs(net, x, logits, torch.arange(BLOCK))
            return _BATCH if is_steady else _UNSTEADY
    return None


def _probes(x: Tensor) -> Tensor:
    """Images (BLOCK, C, H, W), of which the second half has twice the contrast of the first.

    So batches of either half differ in their mean, deviation, least and largest pixel.
    """
    x = x[torch.arange(BLOCK) % len(x)].clone()
    x[: BLOCK // 2] = x[: BLOCK // 2] / 2 + x.mean() / 2
    return x


_IN_PLACE = Flaw(
    "changes its images in place",
    "write x = x * 0.5 in its forward, not x *= 0.5 or x.mul_(0.5); of layers that get the images,"
    " set inplace=False",
    stops_checks=True,
)
_BATCH = Flaw(
    "gives the same image other logits in another batch",
    "it must treat each image alone; batch norm needs running statistics and eval mode",
)
_UNSTEADY = Flaw(
    "gives the same image other logits in each pass",
    "its answers must depend on the image and its weights alone; random numbers must come from the "
    "global generator of torch",
)


def _random(draws: list[str]) -> Flaw:
    return Flaw(
        f"draws random numbers ({', '.join(draws)}), so that the same image gets other logits in "
        "each pass",
        "its numbers repeat only at the same --batch-size; turn off dropout that is meant for "
        "training, or return from the model's `random_passes` over how many passes to average",
        is_random=True,
    )


def _differs(net: nn.Module, x: Tensor, logits: Tensor, rows: Tensor) -> bool:
    """Whether the net answers otherwise if its batch consists of these rows of x."""
    with seeded("soundness"):
        again, _ = _pass(net, x[rows])
    return not _are_close(again, logits[rows.to(logits.device)], TOLERANCE)


def _pass(net: nn.Module, x: Tensor) -> tuple[Any, bool]:
    """Logits of x, and whether the pass wrote to the images.

    Torch counts what is written to a tensor or a view of it, even the values that it had; autograd
    refuses such a pass. What numpy writes is seen by the values alone.
    """
    images = x.clone()
    before = images._version
    logits = net(images)
    if isinstance(logits, Tensor):
        # it may be memory that the next pass uses again
        logits = logits.clone()
    has_changed = images._version != before or not torch.equal(images.nan_to_num(), x.nan_to_num())
    return logits, has_changed


def _are_close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether logits differ by at most a share of the largest; those that are not finite count as
    equal: judging refuses them.
    """
    if a.shape != b.shape:
        return False
    both = a.isfinite() & b.isfinite()
    a, b = a.double().where(both, 0), b.double().where(both, 0)
    return bool((a - b).abs().amax() <= tolerance * b.abs().amax())
