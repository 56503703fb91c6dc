"""pydantic's errors in our words."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from invspec.errors import SpecError
from invspec.kinds import Attack
from invspec.registry import messages
from invspec.registry.methods import make


def test_a_pydantic_error_without_words_of_ours_keeps_its_own() -> None:
    class Odd(Attack):
        even: int = Field(multiple_of=2)

    with pytest.raises(ValidationError) as caught:
        Odd.model_validate({"even": 3})
    (result,) = messages.explain(caught.value, Odd, {"even": 3})
    assert (result.path, str(result)) == (("even",), "expected a multiple of 2, found 3")


def test_every_wrong_parameter_is_reported() -> None:
    inner = {"use": "pgd", "eps": -1, "stepz": 2}
    with pytest.raises(SpecError) as caught:
        make("defence", "adversarial_training", {"attack": inner, "epochs": 0, "lr": "fast"})
    assert {problem.path for problem in caught.value.problems} == {
        ("attack", "eps"),
        ("attack", "stepz"),
        ("epochs",),
        ("lr",),
    }


def test_a_misspelt_parameter_hides_the_missing_one_that_it_stands_for() -> None:
    class Needy(Attack):
        radius: float
        colour: str

    with pytest.raises(ValidationError) as caught:
        Needy.model_validate({"radiuz": 1})
    result = messages.explain(caught.value, Needy, {"radiuz": 1})
    assert sorted(problem.path for problem in result) == [("colour",), ("radiuz",)]


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(default=1, ge=1, le=9)


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    share: float = Field(default=0.5, gt=0, lt=1)
    word: Literal["up", "down"] = "up"
    text: str = Field(default="a", min_length=1, max_length=3)
    listed: tuple[int, ...] = Field(default=(1,), min_length=1, max_length=2)
    inner: Inner = Inner()
    either: int | tuple[int, ...] = 1


def explained(written: dict[str, Any]) -> list[tuple[str, str]]:
    """Dotted paths and messages of everything that is wrong."""
    with pytest.raises(ValidationError) as caught:
        Fields.model_validate(written)
    problems = messages.explain(caught.value, Fields, written)
    return [(".".join(map(str, problem.path)), str(problem)) for problem in problems]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("share", 0, "expected more than 0, found 0"),
        ("share", 1.5, "expected less than 1, found 1.5"),
        ("share", float("nan"), "expected a finite number, found nan"),
        ("share", "much", "expected a number, found 'much'"),
        ("share", None, "expected a number, found nothing"),
        ("word", "left", "expected 'up' or 'down', found 'left'"),
        ("text", "", "expected text of length 1 or more, found ''"),
        ("text", "four", "expected text of length 3 or less, found 'four'"),
        ("listed", [], "expected a list of at least 1, found []"),
        ("listed", [1, 2, 3], "expected a list of at most 2, found [1, 2, 3]"),
        ("listed", 3, "expected a list, found 3\nhint: a list of one is [3]"),
        ("inner", 3, "expected keys with values, found 3"),
        ("either", "x", "expected a whole number or a list, found 'x'"),
    ],
)
def test_a_wrong_value_is_explained_by_what_is_expected(
    path: str, value: object, message: str
) -> None:
    assert explained({path: value}) == [(path, message)]


def test_a_path_leads_to_the_item_of_a_list_and_into_keys() -> None:
    written = {"listed": [1, "b"], "inner": {"count": 10}}
    assert explained(written) == [
        ("listed.1", "expected a whole number, found 'b'"),
        ("inner.count", "expected at most 9, found 10"),
    ]


def test_an_unknown_key_is_explained_by_the_model_that_it_stands_in() -> None:
    hint = "did you mean count? (known: count)"
    assert explained({"inner": {"coumt": 1}}) == [
        ("inner.coumt", f"unknown key 'coumt'\nhint: {hint}")
    ]


def test_a_long_value_is_cut_in_a_message() -> None:
    assert messages.shown("x" * 58) == repr("x" * 58)
    assert messages.shown("x" * 59) == f"'{'x' * 56}..."
    assert (messages.shown(True), messages.shown(None)) == ("true", "nothing")
