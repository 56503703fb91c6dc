"""Outcomes and rows: when they are equal, and which are refused."""

from __future__ import annotations

import pytest
import torch

from invspec.data import Interval, Outcomes, Row, Scored
from invspec.errors import InvspecError
from invspec.ops.types import SHARES

VALUES, INDEX = torch.tensor([True, False, True]), torch.tensor([4, 5, 6])


def test_outcomes_are_equal_if_values_index_type_and_range_are() -> None:
    outcomes = Outcomes(VALUES, INDEX, SHARES)
    assert outcomes == Outcomes(VALUES.clone(), INDEX.clone(), SHARES)
    assert len(outcomes) == 3
    for other in (
        Outcomes(~VALUES, INDEX, SHARES),
        Outcomes(VALUES, INDEX + 1, SHARES),
        Outcomes(VALUES, INDEX),
        Outcomes(VALUES.double(), INDEX, SHARES),
        Outcomes(VALUES[:2], INDEX[:2], SHARES),
        VALUES,
    ):
        assert outcomes != other


def test_rows_with_equal_outcomes_are_equal() -> None:
    first, second = (Row(Outcomes(VALUES.clone(), INDEX), where={"class": 1}) for _ in range(2))
    assert first == second
    assert first != Row(Outcomes(VALUES, INDEX), level=0.5, where={"class": 1})


@pytest.mark.parametrize(
    ("values", "index"),
    [(VALUES, INDEX[:2]), (VALUES.view(3, 1), INDEX), (VALUES, INDEX.view(1, 3))],
)
def test_there_is_one_value_per_unit(values: torch.Tensor, index: torch.Tensor) -> None:
    with pytest.raises(AssertionError, match="outcomes have shapes"):
        Outcomes(values, index)


def test_a_row_has_outcomes_or_an_interval() -> None:
    with pytest.raises(AssertionError, match="a row without a number"):
        Row()
    interval = Interval(0.5, 0.4, 0.6, 10)
    assert Row(interval=interval).outcomes is None


def test_rows_of_a_score_have_distinct_coordinates() -> None:
    number = Interval(0.5, 0.4, 0.6, 10)
    first, second = Row(interval=number, where={"level": 0.5}), Row(interval=number)
    assert len(Scored([first, second]).rows) == 2
    for row, shown in ((first, "level 0.5"), (second, "none")):
        with pytest.raises(InvspecError, match=f"the same coordinates \\({shown}\\)"):
            Scored([first, second, row])
