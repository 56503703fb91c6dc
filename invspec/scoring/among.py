"""Which examples count in a measure: the correctly classified ones, or all."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from invspec.data import Judged
from invspec.errors import InvspecError

Among = Literal["correct", "all"]


def counted(judged: Judged, among: Among) -> Tensor:
    """The examples whose clean image is classified correctly, or all of them: (N,) bool.

    Raises: InvspecError where there are none.
    """
    rows = judged.correct | (among == "all")
    if not rows.any():
        raise InvspecError(
            f"none of {len(rows):,} examples is classified correctly",
            hint="set among: all, or train the model longer",
        )
    return rows
