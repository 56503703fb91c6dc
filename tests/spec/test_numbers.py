"""Operations on numbers as their author writes them, and the places of what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from toy_specs import spec

from invspec.errors import SpecError
from invspec.spec import document, resolve
from invspec.spec.numbers import WORDS, Operation

A, B = {"measure": "a"}, {"measure": "b"}
WRITTEN: dict[str, dict[str, Any]] = {
    "difference": {"difference": [A, B]},
    "ratio": {"ratio": [A, 2]},
    "sum": {"sum": [A, B, 0.5]},
    "least": {"least": [A, B]},
    "greatest": {"greatest": [A, {"difference": [A, B]}]},
    "correlation": {"correlation": [A, B], "across": ["model", "defence"]},
    "least_step": {"least_step": A, "along": "x"},
    "greatest_step": {"greatest_step": {"difference": [A, B]}, "along": "x"},
    "dominance": {"dominance": [A, B, A], "across": "model"},
}


def test_every_word_has_an_example_here() -> None:
    assert set(WRITTEN) == set(WORDS)


@pytest.mark.parametrize(("word", "written"), WRITTEN.items(), ids=WRITTEN)
def test_an_operation_has_one_word_and_its_parts(word: str, written: dict[str, Any]) -> None:
    operation = Operation.model_validate(written)
    assert operation.word == word
    parts = written[word]
    assert len(operation.parts) == (len(parts) if isinstance(parts, list) else 1)


def refusal(value: Any) -> str:
    """The error for a claim about this value."""
    claim = {"says": "it", "value": value, "expect": {"value": {"below": 1}}}
    with pytest.raises(SpecError) as caught:
        resolve.resolve(document.parse(spec(claim), "toy.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "value.measure: is missing"),
        ({"at": {}}, "value.measure: is missing"),
        ({"difference": [A, B], "ratio": [A, B]}, "found difference and ratio"),
        ({"difference": [A]}, "value.difference: expected at least two numbers, found 1"),
        ({"difference": [A, B, A]}, "value.difference: expected a list of at most 2"),
        ({"difference": [1, 2]}, "difference: expected a measured number, found only [1, 2]"),
        ({"difference": A}, "value.difference: expected a list of numbers, found {'measure': 'a'}"),
        ({"difference": [A, None]}, "difference.1: expected a pick, like {measure: accuracy}"),
        ({"sum": [A, {"measur": "a"}]}, "sum.1.measur: unknown key 'measur'"),
        ({"diference": [A, B]}, "hint: did you mean difference?"),
        ({"difference": [A, {"ratio": [A, {**B, "ot": {}}]}]}, "difference.1.ratio.1.ot: unknown"),
        ({**A, "over": {"x": "average"}}, "value.over.x: expected mean, median, area, least"),
        ({**A, "over": {"x": {"quantile": 1}}}, "over.x.quantile: expected less than 1, found 1"),
        ({**A, "over": {"x": {"quantil": 0.5}}}, "over.x"),
        ({"least_step": A}, "value.along: is missing"),
        ({"least_step": A, "across": ["model"]}, "value.along: is missing"),
        ({"correlation": [A, B]}, "value.across: is missing"),
        ({"correlation": A}, "value.along: is missing"),
        ({"correlation": [A, B], "across": ["model"], "along": "x"}, "correlation takes no along"),
        ({"dominance": [A], "across": ["model"]}, "dominance: expected at least two numbers"),
        ({"difference": [A, B], "along": "x"}, "value.along: difference takes no along"),
        ({"difference": [A, B], "across": "model"}, "value.across: difference takes no across"),
        ("accuracy", "value: expected a pick, like {measure: accuracy}, or an operation"),
        (0.5, "value: expected a pick, like {measure: accuracy}, or an operation, like"),
    ],
)
def test_a_wrong_operation_is_refused_at_its_place(value: Any, message: str) -> None:
    text = refusal(value)
    assert message in text
    assert text.startswith("toy.yaml:16: claims.0.value")
