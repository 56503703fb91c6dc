"""Checks that take a step along the gradient, of one of several lengths."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from torch import Tensor

from invspec.data import Batch
from invspec.diagnostics.image_check import ImageCheck
from invspec.diagnostics.steps import grey_level


class StepCheck(ImageCheck):
    """Base class of checks of a step along the signs of the gradient.

    Of several lengths, that at which fewest images fail counts.
    """

    levels: tuple[float, ...] = Field(
        default=(1.0, 8.0),
        min_length=1,
        description="lengths of steps, in 1/255 of the pixel range",
    )

    def fewest(self, batch: Batch, fails: Callable[[float], Tensor]) -> Tensor:
        """Which images fail, (B,) bool, at the length where fewest do.

        fails maps a length, in pixels, to the images that fail. Once none does, the other lengths
        are not tried.
        """
        first, *others = (level * grey_level(batch) for level in self.levels)
        best = fails(first)
        for length in others:
            if not best.any():
                break
            best = min(best, fails(length), key=lambda flags: int(flags.sum()))
        return best
