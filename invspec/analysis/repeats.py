"""The outcomes of one number, measured once per training seed.

This module does not import torch unless it is handed tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from invspec.ops.types import REALS, Range

Integers = NDArray[np.int64]

# added to the index of second units, so that their weights are drawn apart from those of first ones
_SECOND = 2**40
# added to the index of examples of another data set
_ELSEWHERE = 2**41


@dataclass(frozen=True, eq=False)
class Repeats:
    """The outcomes of one number, measured once per training seed: values (N,) and index (N,).

    The number is the mean of each seed's outcomes, or their quantile at level; range holds the
    smallest and largest possible value. name is an integer unique to this number. second, for
    outcomes of pairs, is the same number by the second unit of the pairs.
    """

    values: Sequence[ArrayLike]
    index: Sequence[ArrayLike]
    name: int = 0
    range: Range = REALS
    level: float | None = None
    second: Repeats | None = None

    def __post_init__(self) -> None:
        assert len(self.values) == len(self.index) > 0, "expected values and index for each seed"


def apart(number: Repeats) -> Repeats:
    """A number by its second unit, whose weights are independent of those of first units.

    The half examples of a share are added once, with the first unit.
    """
    index = [np.asarray(places, dtype=np.int64) + _SECOND for places in number.index]
    return replace(number, index=index, range=REALS)


def elsewhere(number: Repeats) -> Repeats:
    """A number on examples of its own: no other number shares their weights."""
    index = [np.asarray(places, dtype=np.int64) + _ELSEWHERE for places in number.index]
    second = None if number.second is None else elsewhere(number.second)
    return replace(number, index=index, second=second)
