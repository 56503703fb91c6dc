"""Ranges that the extreme of several noisy numbers satisfies by chance are refused."""

from __future__ import annotations

from typing import Any

import pytest
from toy_specs import spec

from invspec.errors import SpecError
from invspec.spec import document, resolve
from invspec.spec.claims import Claim

PICK = {"measure": "a"}
SIDES = {"of": {"model": "m"}, "to": {"model": "n"}}
DIFFERENCE = {"difference": [PICK, {"measure": "b"}]}


def over(reduction: Any, form: dict[str, Any] = PICK) -> dict[str, Any]:
    return {**form, "over": {"x": reduction}}


def claim(form: str, written: dict[str, Any], statistic: str, bound: dict[str, float]) -> Claim:
    return Claim.model_validate({"says": "it", form: written, "expect": {statistic: bound}})


REFUSED = {
    "greatest above 0": ("value", over("greatest"), "value", {"above": 0}),
    "magnitude above 0": ("value", over("magnitude"), "value", {"above": 0}),
    "greatest above less than 0": ("value", over("greatest"), "value", {"above": -0.1}),
    "least below 0": ("value", over("least"), "value", {"below": 0}),
    "upper quantile above 0": ("value", over({"quantile": 0.9}), "value", {"above": 0}),
    "lower quantile below 0": ("value", over({"quantile": 0.1}), "value", {"below": 0}),
    "greatest difference": (
        "compare",
        over("greatest", {**PICK, **SIDES}),
        "difference",
        {"above": 0},
    ),
    "magnitude of differences": (
        "compare",
        over("magnitude", {**PICK, **SIDES}),
        "difference",
        {"above": 0},
    ),
    "least difference": (
        "compare",
        over("least", {**PICK, **SIDES}),
        "difference",
        {"below": 0.05},
    ),
    "greatest ratio above 1": (
        "compare",
        over("greatest", {**PICK, **SIDES}),
        "ratio",
        {"above": 1},
    ),
    "least ratio below 1": ("compare", over("least", {**PICK, **SIDES}), "ratio", {"below": 1}),
    "nested difference": ("value", over("magnitude", DIFFERENCE), "difference", {"above": 0}),
    "greatest less least": (
        "value",
        {"difference": [over("greatest"), over("least")]},
        "difference",
        {"above": 0},
    ),
    "mean of greatest": (
        "value",
        {**PICK, "over": {"x": "greatest", "y": "mean"}},
        "value",
        {"above": 0},
    ),
    "greatest of several": (
        "value",
        {"greatest": [DIFFERENCE, DIFFERENCE]},
        "greatest",
        {"above": 0},
    ),
    "least of several": ("value", {"least": [DIFFERENCE, DIFFERENCE]}, "least", {"below": 0}),
    "greatest step above 0": (
        "value",
        {"greatest_step": PICK, "along": "x"},
        "greatest_step",
        {"above": 0},
    ),
    "least step below 0": ("value", {"least_step": PICK, "along": "x"}, "least_step", {"below": 0}),
    "dominance above 0": (
        "value",
        {"dominance": [PICK, PICK], "across": ["model"]},
        "dominance",
        {"above": 0},
    ),
}

ALLOWED = {
    "greatest above a margin": ("value", over("greatest"), "value", {"above": 0.02}),
    "magnitude above a margin": ("value", over("magnitude"), "value", {"above": 0.02}),
    "greatest below": ("value", over("greatest"), "value", {"below": 0}),
    "least above": ("value", over("least"), "value", {"above": 0}),
    "least share below a half": ("value", over("least"), "value", {"below": 0.5}),
    "greatest near 0": ("value", over("greatest"), "value", {"near": 0, "within": 0.1}),
    "mean above 0": ("value", over("mean"), "value", {"above": 0}),
    "median above 0": ("value", over("median"), "value", {"above": 0}),
    "every step": ("trend", {**PICK, "along": "x"}, "least_step", {"above": 0}),
    "difference of two extremes": (
        "value",
        {"difference": [over("greatest"), over("greatest", {"measure": "b"})]},
        "difference",
        {"above": 0},
    ),
    "correlation of extremes": (
        "trend",
        {**over("greatest"), "along": "y"},
        "correlation",
        {"above": 0},
    ),
    "dominance below 0": (
        "value",
        {"dominance": [PICK, PICK], "across": ["model"]},
        "dominance",
        {"below": 0},
    ),
    "greatest ratio above a margin": (
        "compare",
        over("greatest", {**PICK, **SIDES}),
        "ratio",
        {"above": 1.1},
    ),
}


@pytest.mark.parametrize("written", REFUSED.values(), ids=REFUSED)
def test_a_range_that_chance_satisfies_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="chance alone puts the"):
        claim(*written)


@pytest.mark.parametrize("written", ALLOWED.values(), ids=ALLOWED)
def test_a_margin_or_the_other_side_is_allowed(written: Any) -> None:
    assert claim(*written).says == "it"


def test_the_refusal_names_the_extreme_its_place_and_what_to_do() -> None:
    written = {
        "says": "it",
        "value": over("greatest", {"measure": "robustness"}),
        "expect": {"value": {"above": 0}},
    }
    with pytest.raises(SpecError) as caught:
        resolve.resolve(document.parse(spec(written), "toy.yaml"))
    assert str(caught.value) == (
        "toy.yaml:16: claims.0.expect: chance alone puts the greatest of several noisy numbers "
        "above 0\nhint: give a margin, like above: 0.02, or compare a fixed pair"
    )
