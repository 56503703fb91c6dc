"""Types of fields that several attacks have."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from invspec.search.fields import Label, Rivals
from invspec.spec import document


def test_an_unquoted_true_in_yaml_is_the_true_label() -> None:
    for written in ("true", "'true'", "predicted"):
        value = document.parse(f"label: {written}", "x.yaml").values["label"]
        assert TypeAdapter(Label).validate_python(value) == written.strip("'")


@pytest.mark.parametrize("value", [False, 1, "false", "target", None])
def test_no_other_label_is_attacked(value: object) -> None:
    with pytest.raises(ValidationError, match="'true' or 'predicted'"):
        TypeAdapter(Label).validate_python(value)


def test_there_may_be_no_rivals_but_not_fewer() -> None:
    assert TypeAdapter(Rivals).validate_python(0) == 0
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        TypeAdapter(Rivals).validate_python(-1)
