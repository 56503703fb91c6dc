"""Claims that every possible number meets, or none, are refused before a run."""

from __future__ import annotations

from typing import Any

import pytest
from plan_toys import planned

from invspec.plan import planner, validation
from invspec.plan.cells import Plan
from invspec.spec import document, resolve

SHARE = {"measure": "accuracy"}
OTHER = {"measure": "clean"}
SIDES = {"of": {"pgd.eps": 0.1}, "to": {"pgd.eps": 0.2}}
ATTACKS = {
    "pgd": {"eps": {"sweep": [0.1, 0.2]}},
    "none": {"use": "identity"},
    "walk": {"use": "nspgd", "sample": {"targets": {"per_class": 1}}},
}
MEASURES = {
    "accuracy": {"of": "pgd"},
    "other": {"use": "fooling_rate", "of": "pgd"},
    "clean": {"use": "accuracy", "of": "none"},
    "gap": {"use": "accuracy_gap", "of": "none"},
    "distance": {"use": "boundary_distance", "of": "none"},
    "confidence": {"use": "source_confidence", "drop": {"sweep": [False, True]}, "of": "walk"},
    "theorem": {"use": "theorem1", "of": ["none", "none"]},
}


def plan_of(form: str, number: dict[str, Any], expect: Any, **keys: Any) -> Plan:
    claim = {"says": "it", form: number, "expect": expect, **keys}
    return planned(attacks=ATTACKS, measures=MEASURES, claims=[claim])


def problem(form: str, number: dict[str, Any], expect: Any, **keys: Any) -> str:
    """What `validate` says of the claim; empty if it accepts it."""
    found = list(validation.problems(plan_of(form, number, expect, **keys)))
    assert len(found) < 2
    return str(found[0]) if found else ""


AT = {**SHARE, "at": {"pgd.eps": 0.1}}
OVER = {**SHARE, "over": {"pgd.eps": "area"}}
TREND = {**SHARE, "along": "pgd.eps"}
COMPARE = {**SHARE, **SIDES}

CANNOT_FAIL: dict[str, tuple[str, dict[str, Any], Any]] = {
    "share above -1": ("value", AT, {"value": {"above": -1}}),
    "share near 0.5 within 2": ("value", AT, {"value": {"near": 0.5, "within": 2}}),
    "share below 1.5": ("value", AT, {"value": {"below": 1.5}}),
    "share in a range around all": ("value", AT, {"value": {"above": -0.1, "below": 1.1}}),
    "area of shares": ("value", OVER, {"value": {"below": 1.5}}),
    "mean of shares": ("value", {**SHARE, "over": {"pgd.eps": "mean"}}, {"value": {"above": -1}}),
    "gap above -1": ("value", {"measure": "gap"}, {"value": {"above": -1}}),
    "distance above -1": ("value", {"measure": "distance"}, {"value": {"above": -1}}),
    "quantity above -2": (
        "value",
        {"measure": "theorem", "at": {"theorem.quantity": "swap_gap"}},
        {"value": {"above": -2}},
    ),
    "difference above -1": ("compare", COMPARE, {"difference": {"above": -1}}),
    "difference below 1": ("compare", COMPARE, {"difference": {"below": 1}}),
    "ratio above -1": ("compare", COMPARE, {"ratio": {"above": -1}}),
    "ratio above 0": ("compare", COMPARE, {"ratio": {"above": 0}}),
    "correlation above -1": ("trend", TREND, {"correlation": {"above": -1}}),
    "correlation below 1.5": ("trend", TREND, {"correlation": {"below": 1.5}}),
    "least step above -1": ("trend", TREND, {"least_step": {"above": -1}}),
    "rising by at least -2": ("trend", TREND, {"rising": {"every_step": {"above": -2}}}),
    "difference of measures": (
        "value",
        {"difference": [AT, OTHER]},
        {"difference": {"above": -1.5}},
    ),
    "magnitude of differences": (
        "value",
        {"difference": [SHARE, OTHER], "over": {"pgd.eps": "magnitude"}},
        {"difference": {"below": 1.5}},
    ),
    "sum of shares": (
        "value",
        {"sum": [AT, OTHER]},
        {"sum": {"below": 3}},
    ),
    "correlation across points": (
        "value",
        {"correlation": [SHARE, {**SHARE, "measure": "other"}], "across": ["pgd.eps"]},
        {"correlation": {"above": -1}},
    ),
}


@pytest.mark.parametrize("claim", CANNOT_FAIL.values(), ids=CANNOT_FAIL)
def test_a_claim_that_no_number_fails_is_refused(claim: Any) -> None:
    assert any(words in problem(*claim) for words in ("cannot fail", "fails only in the extreme"))


CANNOT_HOLD: dict[str, tuple[str, dict[str, Any], Any]] = {
    "share above 1": ("value", AT, {"value": {"above": 1}}),
    "share below 0": ("value", AT, {"value": {"below": 0}}),
    "share near 2": ("value", AT, {"value": {"near": 2, "within": 0.5}}),
    "share in percent": ("value", AT, {"value": {"above": 90}}),
    "distance below 0": ("value", {"measure": "distance"}, {"value": {"below": 0}}),
    "difference above 1": ("compare", COMPARE, {"difference": {"above": 1}}),
    "ratio below 0": ("compare", COMPARE, {"ratio": {"below": 0}}),
    "correlation above 1": ("trend", TREND, {"correlation": {"above": 1}}),
    "greatest step below -1": ("trend", TREND, {"greatest_step": {"below": -1}}),
}


@pytest.mark.parametrize("claim", CANNOT_HOLD.values(), ids=CANNOT_HOLD)
def test_a_claim_that_no_number_meets_is_refused(claim: Any) -> None:
    assert "cannot hold" in problem(*claim)


ACCEPTED: dict[str, tuple[str, dict[str, Any], Any]] = {
    "share above 0": ("value", AT, {"value": {"above": 0}}),
    "share below 1": ("value", AT, {"value": {"below": 1}}),
    "only one end is beyond all shares": ("value", AT, {"value": {"above": -1, "below": 0.5}}),
    "share near 1": ("value", AT, {"value": {"near": 1, "within": 0.1}}),
    "difference above less than 0": ("compare", COMPARE, {"difference": {"above": -0.05}}),
    "ratio below 1.5": ("compare", COMPARE, {"ratio": {"below": 1.5}}),
    "distance below 100": ("value", {"measure": "distance"}, {"value": {"below": 100}}),
    "slack above -0.05": (
        "value",
        {"measure": "theorem", "at": {"theorem.quantity": "slack"}},
        {"value": {"above": -0.05}},
    ),
    "drop of a confidence above -0.5": (
        "value",
        {"measure": "confidence", "at": {"confidence.drop": True}},
        {"value": {"above": -0.5}},
    ),
    "ratio to a distance": (
        "value",
        {"ratio": [AT, {"measure": "distance"}]},
        {"ratio": {"below": 3}},
    ),
}


@pytest.mark.parametrize("claim", ACCEPTED.values(), ids=ACCEPTED)
def test_a_claim_that_can_hold_and_fail_is_accepted(claim: Any) -> None:
    assert problem(*claim) == ""


def test_the_range_is_that_of_the_picked_value_of_a_sweep() -> None:
    pick = {"measure": "confidence", "at": {"confidence.drop": False}}
    assert "cannot fail" in problem("value", pick, {"value": {"above": -0.5}})


def test_shares_are_not_in_percent() -> None:
    assert "was 0.9 meant?" in problem("value", AT, {"value": {"above": 90}})


TEXT = """\
title: toy
datasets: {fake: {}}
models: {linear: {}}
defences: {standard: {}}
attacks: {pgd: {}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
claims:
  - says: it
    value: {measure: accuracy}
    given:
      - value: {measure: accuracy}
        expect: {value: {above: -1}}
    one_of:
      - says: high
        expect: {value: {above: 0.5}}
      - says: low
        expect: {value: {below: -0.5}}
"""


def test_premises_and_alternatives_are_refused_at_their_own_range() -> None:
    plan = planner.plan(resolve.resolve(document.parse(TEXT, "x.yaml")))
    assert [found.where for found in validation.problems(plan)] == [
        "x.yaml:13: claims.0.given.0.expect",
        "x.yaml:18: claims.0.one_of.1.expect",
    ]


def test_an_alternative_without_a_range_is_refused_at_that_of_its_claim() -> None:
    one_of = [{"says": "clean", "value": OTHER}, {"says": "attacked", "value": AT}]
    found = problem("value", AT, {"value": {"above": 2}}, one_of=one_of)
    assert "claims.0.expect: above 2 cannot hold" in found
