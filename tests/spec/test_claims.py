"""Forms and bounds of claims."""

from __future__ import annotations

import math
from typing import Any

import pytest

from invspec.spec.schema import Bound, Claim

FORMS = {
    "value": (
        {"value": {"measure": "a"}, "expect": {"value": {"above": "1/2"}}},
        "value",
        (0.5, math.inf),
    ),
    "difference": (
        {
            "compare": {"measure": "a", "of": {"model": "m"}, "to": {"model": "n"}},
            "expect": {"difference": {"below": 0}},
        },
        "difference",
        (-math.inf, 0.0),
    ),
    "ratio": (
        {
            "compare": {"measure": "a", "of": {"model": "m"}, "to": {"model": "n"}},
            "expect": {"ratio": {"near": 2, "within": 1}},
        },
        "ratio",
        (1.0, 3.0),
    ),
    "rising": (
        {"trend": {"measure": "a", "along": "x"}, "expect": "rising"},
        "correlation",
        (0.0, math.inf),
    ),
    "falling": (
        {"trend": {"measure": "a", "along": "x"}, "expect": "falling"},
        "correlation",
        (-math.inf, 0.0),
    ),
}


@pytest.mark.parametrize(("written", "statistic", "range_"), FORMS.values(), ids=FORMS)
def test_a_claim_has_one_form_one_statistic_and_one_range(
    written: dict[str, Any], statistic: str, range_: tuple[float, float]
) -> None:
    claim = Claim.model_validate({"says": "so", **written})
    assert claim.form in written
    assert claim.pick.measure == "a"
    assert (claim.statistic, claim.bound.range) == (statistic, range_)


def test_the_limits_of_a_bound_are_combined() -> None:
    assert Bound(above=0.1, below=0.9).range == (0.1, 0.9)
    assert Bound(near=0.5, within=0.3, above=0.4).range == (0.4, 0.8)
    with pytest.raises(ValueError, match=r"no number is both above 0\.5 and below 0\.5"):
        Bound(above=0.5, below=0.5)
