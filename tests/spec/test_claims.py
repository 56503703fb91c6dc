"""Forms and bounds of claims."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from invspec.spec.schema import Claim

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


def test_every_step_is_a_bound_on_the_least_or_the_greatest_step() -> None:
    def expected(expect: Any) -> tuple[str, tuple[float, float]]:
        claim = Claim.model_validate({"says": "so", "trend": TREND, "expect": expect})
        return claim.statistic, claim.bound.range

    assert expected({"rising": {"every_step": True}}) == ("least_step", (0, math.inf))
    assert expected({"falling": {"every_step": True}}) == ("greatest_step", (-math.inf, 0))
    assert expected({"rising": {"every_step": {"above": -0.1}}}) == ("least_step", (-0.1, math.inf))
    assert expected({"rising": {"every_step": False}}) == expected("rising")


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"rising": True}, r"expected {every_step: true} in rising, found true"),
        ({"rising": {"each_step": True}}, r"expected {every_step: true} in rising"),
        ({"rising": {"every_step": 1}}, r"expected true, or the least step as {above: -0\.01}"),
        ({"rising": {"every_step": {"below": 0}}}, r"the least step as {above: -0\.01}"),
        ({"falling": {"every_step": {"above": 0}}}, r"the least step as {below: 0\.01}"),
    ],
)
def test_a_wrong_every_step_is_refused(expect: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Claim.model_validate({"says": "so", "trend": TREND, "expect": expect})


ABOVE, BELOW = {"value": {"above": 0.5}}, {"value": {"below": 0.5}}


def test_an_alternative_takes_what_it_does_not_say_from_its_claim() -> None:
    claim = Claim.model_validate(
        {
            "says": "so",
            "source": "both",
            "value": VALUE,
            "expect": ABOVE,
            "one_of": [
                {"says": "a"},
                {"says": "b", "expect": BELOW, "source": "second"},
                {"says": "c", "trend": TREND, "expect": "rising"},
            ],
        }
    )
    first, second, third = claim.alternatives
    assert (first.form, first.statistic, first.source) == ("value", "value", "both")
    assert (second.bound.range, second.source) == ((-math.inf, 0.5), "second")
    assert (third.form, third.statistic) == ("trend", "correlation")
    paths = [statement.node.path for statement in claim.statements(3)]
    assert paths == [
        ("claims", 3, "value"),
        ("claims", 3, "value"),
        ("claims", 3, "one_of", 2, "trend"),
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"one_of": [{"says": "a"}]}, "at least 2"),
        (
            {"value": VALUE, "one_of": [{"says": "a", "expect": ABOVE}, {"says": "b"}]},
            "is missing",
        ),
        (
            {"expect": ABOVE, "one_of": [{"says": "a", "value": VALUE}, {"says": "b"}]},
            "expected one of value, compare and trend, found none",
        ),
        (
            {
                "value": VALUE,
                "one_of": [
                    {"says": "a", "expect": ABOVE},
                    {"says": "b", "expect": {"value": {"below": 0.6}}},
                ],
            },
            "'a' and 'b' expect the same number, and both allow 0.5 to 0.6",
        ),
        ({"value": VALUE}, "is missing"),
        ({"value": VALUE, "expect": ABOVE, "given": [{"value": VALUE}]}, "is missing"),
        ({"value": VALUE, "expect": ABOVE, "published": {"value": 0.5, "sd": 1}}, "found sd alone"),
        ({"value": VALUE, "expect": ABOVE, "published": {"value": 3, "n": 5}}, "a share in"),
    ],
)
def test_incomplete_claims_premises_and_alternatives_are_refused(
    written: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Claim.model_validate({"says": "so", **written})


def test_a_published_number_may_have_a_sampling_error() -> None:
    keys = {"says": "so", "value": VALUE, "expect": ABOVE}
    plain = Claim.model_validate({**keys, "published": "1/2"})
    known = Claim.model_validate({**keys, "published": {"value": 0.5, "n": 100}})
    assert plain.published is not None
    assert known.published is not None
    assert (plain.published.value, plain.published.error_of_examples) == (0.5, 0)
    assert known.published.error_of_examples == pytest.approx(0.05)


def test_two_alternatives_with_one_text_are_refused() -> None:
    one_of = [{"says": "so", "expect": {"value": {bound: 0.5}}} for bound in ("above", "below")]
    with pytest.raises(ValidationError, match="two alternatives say 'so'"):
        Claim.model_validate({"says": "it", "value": {"measure": "a"}, "one_of": one_of})
