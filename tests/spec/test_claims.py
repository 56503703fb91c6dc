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


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ({}, "expected above, below, or near with within, found none of them"),
        ({"near": 1}, "expected near and within together, found near alone"),
        ({"within": 1}, "expected near and within together, found within alone"),
        ({"near": 1, "within": 0.5, "above": 1.5}, r"no number is both above 1\.5 and below 1\.5"),
        ({"near": 1, "within": 0}, "greater than 0"),
    ],
)
def test_a_bound_that_is_no_range_is_refused(bound: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bound.model_validate(bound)


VALUE, TREND = {"measure": "a"}, {"measure": "a", "along": "x"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"expect": "rising"}, "expected one of value, compare and trend, found none"),
        (
            {"value": VALUE, "trend": TREND, "expect": "rising"},
            "expected one of value, compare and trend, found value and trend",
        ),
        (
            {"value": VALUE, "expect": "rising"},
            "a value claim expects a bound on its value, found correlation",
        ),
        (
            {
                "compare": {"measure": "a", "of": {"model": "m"}, "to": {"model": "n"}},
                "expect": {"value": {"above": 0}},
            },
            "a compare claim expects a bound on its difference or ratio, found value",
        ),
        ({"trend": TREND, "expect": "flat"}, "expected rising, falling, or one statistic, like"),
        ({"value": VALUE, "expect": {}}, "expected rising, falling, or one statistic, like"),
    ],
)
def test_a_claim_whose_form_and_bound_do_not_fit_is_refused(
    written: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Claim.model_validate({"says": "so", **written})
