"""Findings on shares of images."""

from __future__ import annotations

from torch import Tensor

from invspec.data import Finding, Interval
from invspec.ops.shares import wilson

# the hint where gradients do not lead to adversarial images
MISLEADING = (
    "gradients may be cut off, rounded away or shattered: rely on an attack without gradients,"
    " such as square"
)
# the hint where the margin finds what the attack's own loss does not
OTHER_LOSSES = "try a loss that does not vanish: `loss: margin` or `loss: dlr`"
# a share of zero images
UNKNOWN = Interval(0.0, 0.0, 1.0, 0)


def share_of(flags: Tensor) -> Interval:
    """The share of flags (N,) bool that are true, with its Wilson interval."""
    n = len(flags)
    if not n:
        return UNKNOWN
    share = flags.float().mean().item()
    return Interval(share, *wilson(share, n), n)


def skipped(reason: str) -> Finding:
    """The finding of a check that does not apply."""
    return Finding("skipped", UNKNOWN, 0.0, reason)


def is_more_than(threshold: float, flags: Tensor) -> bool:
    """Whether the share of flags (N,) bool, with its whole interval, is above the threshold.

    A single image of a few is chance, unless the threshold is 0.
    """
    return share_of(flags).low > threshold and (threshold == 0 or int(flags.sum()) > 1)


def at_most(
    threshold: float, flags: Tensor, reason: str, hint: str, survivors: float | None = None
) -> Finding:
    """Fail if the share of flags (N,) bool is more than the threshold."""
    measured = share_of(flags)
    if is_more_than(threshold, flags):
        return Finding("fails", measured, threshold, reason, hint, survivors)
    return Finding("passes", measured, threshold, survivors=survivors)


def survivors_of(standing: Tensor) -> float | None:
    """The lower end of the share of images that are standing (N,) bool; None if N is 0."""
    return share_of(standing).low if len(standing) else None


def counted(flags: Tensor) -> str:
    """How many of flags (N,) bool are true, as in 3 of 64 images."""
    return f"{int(flags.sum())} of {len(flags)} images"
