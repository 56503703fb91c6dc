"""Numbers that no measurement can change are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from invspec.spec.claims import Claim

A, B = {"measure": "a"}, {"measure": "b"}
DIFFERENCE = {"difference": [A, B]}


def claim(form: str, written: dict[str, Any], statistic: str) -> Claim:
    expect = {statistic: {"above": 0.5}}
    return Claim.model_validate({"says": "it", form: written, "expect": expect})


REFUSED = {
    "compare": ({**A, "of": {"model": "m"}, "to": {"model": "m"}}, "minus itself is always 0"),
    "difference": ({"difference": [A, A]}, "minus itself is always 0"),
    "ratio": ({"ratio": [A, A]}, "divided by itself is always 1"),
    "ratio to 0": ({"ratio": [A, 0]}, "a ratio to 0 is no number"),
    "correlation": (
        {"correlation": [A, A], "across": ["model"]},
        "correlated with itself is always 1",
    ),
    "operations": ({"difference": [DIFFERENCE, DIFFERENCE]}, "minus itself is always 0"),
    "inside": ({"sum": [{"ratio": [A, A]}, B]}, "divided by itself is always 1"),
}


@pytest.mark.parametrize(("written", "message"), REFUSED.values(), ids=REFUSED)
def test_a_number_that_is_known_before_anything_runs_is_refused(
    written: dict[str, Any], message: str
) -> None:
    form = "compare" if "of" in written else "value"
    word = "difference" if "of" in written else next(iter(written))
    with pytest.raises(ValidationError, match=message):
        claim(form, written, word)


@pytest.mark.parametrize(
    "written",
    [
        {"difference": [A, B]},
        {"difference": [{**A, "at": {"model": "m"}}, {**A, "at": {"model": "n"}}]},
        {"difference": [{**A, "over": {"x": "least"}}, {**A, "over": {"x": "greatest"}}]},
        {"ratio": [A, 2]},
        {"sum": [A, A]},
    ],
    ids=str,
)
def test_other_numbers_are_taken(written: dict[str, Any]) -> None:
    word = next(iter(written))
    assert claim("value", written, word).statistic == word
