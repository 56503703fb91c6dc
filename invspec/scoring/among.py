"""Measures of the correctly classified examples, or of all."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field
from torch import Tensor

from invspec.data import Judged
from invspec.errors import InvspecError
from invspec.kinds import Measure

Among = Literal["correct", "all"]


class CountedMeasure(Measure):
    """Base class of measures of the correctly classified examples, or of all."""

    among: Among = Field(
        default="correct", description="correctly classified examples, or all of them"
    )

    def smoke(self) -> Self:
        """Count all examples, because a net of one epoch may classify none correctly."""
        return super().smoke().model_copy(update={"among": "all"})


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
