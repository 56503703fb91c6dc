"""The output of a measure: numbers with the outcomes behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from invspec.errors import InvspecError
from invspec.ops.types import REALS, Range


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was measured on each independent unit: values (N,) and index (N,) int64, on the CPU.

    A unit is an example, or the source of pairs. index names it within its split, so that numbers
    measured on the same units can be paired. range holds the least and largest possible mean.
    Values are bool or whole numbers where they count something, else float64. second, for pairs, is
    the same number by their second unit, the target.
    """

    values: Tensor
    index: Tensor
    range: Range = REALS
    second: Outcomes | None = None

    def __post_init__(self) -> None:
        shapes = (tuple(self.values.shape), tuple(self.index.shape))
        assert shapes == ((len(self.index),),) * 2, f"outcomes have shapes {shapes}"

    def __len__(self) -> int:
        return len(self.values)

    # written out, because == compares tensors entry by entry
    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Outcomes)
            and self.range == other.range
            and self.values.dtype == other.values.dtype
            and torch.equal(self.values, other.values)
            and torch.equal(self.index, other.index)
            and self.second == other.second
        )


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval, from n units."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Row:
    """One number of a score, in the measure's units; `where` tells it from the score's other rows.

    The number is the mean of the outcomes, or their quantile at level. Its interval is computed in
    `analysis`. For a quantile, pairs with one source repeat its index; for a mean, indices are
    unique.

    interval holds a value and interval that the measure computed itself because they do not follow
    from outcomes, such as an estimated threshold or a maximum over images. A row with both shows
    the interval; its outcomes serve to average it over seeds and to pair it with others.
    """

    outcomes: Outcomes | None = None
    level: float | None = None
    interval: Interval | None = None
    where: Mapping[str, str | float] = field(default_factory=dict[str, str | float])

    def __post_init__(self) -> None:
        assert self.outcomes is not None or self.interval is not None, "a row without a number"


@dataclass(frozen=True)
class Scored:
    """What a measure returns: rows for tables and claims, tensors for figures alone.

    Each row has coordinates (`where`) of its own. Build tensors with a Picture
    (`data/pictures.py`).

    Raises: InvspecError if two rows have the same coordinates.
    """

    rows: Sequence[Row]
    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])

    def __post_init__(self) -> None:
        # rows with equal coordinates would be averaged as if they were seeds
        known: list[Mapping[str, str | float]] = []
        for row in self.rows:
            if row.where in known:
                words = ", ".join(f"{name} {value}" for name, value in row.where.items())
                raise InvspecError(
                    f"two rows of a score have the same coordinates ({words or 'none'})",
                    hint='give each row its own, as in mean(..., quantity="wrong")',
                )
            known.append(row.where)
