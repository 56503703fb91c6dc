"""What a check found of a net, or of an attack on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from invspec.data.scored import Interval

Status = Literal["passes", "fails", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What a check measured, with its 95 % interval, against a threshold.

    measured.n is the number of images. A check fails only if the whole interval is beyond the
    threshold. reason says what is wrong, in words that follow the name of a net ("the gradients of
    64 of 64 images are 0"), and hint what to do; both are empty if the check passes. A check that
    does not apply is skipped, and reason says why.

    survivors is for checks that attack: of the images that withstood the attack under check, the
    share that also withstood the one tried here, by the lower end of its interval. It matters only
    if the check fails: one that passes need not have tried all that it would. None if the check ran
    no attack.
    """

    status: Status
    measured: Interval
    threshold: float
    reason: str = ""
    hint: str = ""
    survivors: float | None = None
