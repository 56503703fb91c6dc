"""pydantic's errors in our words."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

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
