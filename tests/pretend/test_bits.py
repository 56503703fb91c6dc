"""The comparison of results misses no bit."""

from __future__ import annotations

import math

import pytest
import torch
from pretend_bits import differences

from invspec.data import Perturbed, Row, Scored
from invspec.scoring.rows import share


def test_equal_results_do_not_differ_even_with_nan() -> None:
    assert differences({"x": torch.tensor([math.nan])}, {"x": torch.tensor([math.nan])}) == []
    assert differences([math.nan, "a"], [math.nan, "a"]) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.tensor([0.0]), torch.tensor([-0.0])),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64)),
        (torch.zeros(2, 1), torch.zeros(1, 2)),
        (0.0, -0.0),
        (0.1 + 0.2, 0.3),
    ],
)
def test_results_that_differ_in_a_bit_a_type_or_a_shape_differ(
    first: object, second: object
) -> None:
    assert differences({"x": first}, {"x": second}) == ["x"]


def test_a_missing_value_is_a_difference() -> None:
    assert differences([1, 2], [1]) == ["1"]


def test_differences_are_named_by_their_path() -> None:
    def scored(outcomes: list[bool]) -> Scored:
        row: Row = share(torch.tensor(outcomes), torch.arange(2))
        return Scored([row])

    assert differences(scored([True, True]), scored([True, False])) == ["rows.0.outcomes.values"]
    x = torch.zeros(1, 1, 2, 2)
    changed = Perturbed.costing(x + 1, 0, 0)
    assert differences({"alone": Perturbed.costing(x, 0, 0)}, {"alone": changed}) == ["alone.x_adv"]
