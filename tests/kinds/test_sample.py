"""Which examples and targets an attack runs on."""

from __future__ import annotations

from typing import Any

import pytest

from invspec.kinds import Sample, Targets


def test_a_sample_is_counted_one_way() -> None:
    with pytest.raises(ValueError, match="found both: limit 3 and per_class 1"):
        Sample(limit=3, per_class=1)
    with pytest.raises(ValueError, match="valid integer"):
        Sample(limit=True)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, "none"),
        ({"indices": []}, "none"),
        ({"per_class": 1, "each": 2}, "per_class and each"),
        ({"per_class": 1, "indices": [0], "each": 2}, "per_class and indices and each"),
    ],
)
def test_targets_are_chosen_one_way(fields: dict[str, Any], found: str) -> None:
    message = f"expected one of per_class, indices, nth_of_class and each, found {found}"
    with pytest.raises(ValueError, match=message):
        Targets.model_validate(fields)


def test_an_index_of_a_target_is_given_once() -> None:
    with pytest.raises(ValueError, match="expected distinct indices, found 3 more than once"):
        Targets(indices=(1, 3, 2, 3))
    assert Targets(indices=(3, 1)).indices == (3, 1)


@pytest.mark.parametrize("field", ["per_class", "each"])
def test_there_is_at_least_one_target(field: str) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Targets.model_validate({field: 0})
