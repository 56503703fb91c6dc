"""Schemas of fields have one rule where values of one type have one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field
from torch import Tensor

from invspec.kinds import Method, Number
from invspec.registry.field_schemas import schemas_of, tidy
from invspec.registry.fields import AttackField


class Inner(BaseModel):
    """Keys in a field."""

    depth: int = Field(default=1, ge=1, description="how deep")


class Everything(Method):
    """Fields of many types."""

    kind: ClassVar[str] = "measure"
    size: Number = Field(default=1, ge=0, le=2)
    shift: Number | None = Field(default=None, gt=-1)
    word: Literal["a", "b"] | None = None
    one: Literal["a"] = "a"
    either: Literal["all"] | int = "all"
    listed: tuple[Annotated[int, Field(gt=0)], ...] | None = None
    single_or_list: str | tuple[str, ...] = "a"
    inner: Inner = Inner()
    attack: AttackField | None = None
    attacks: tuple[AttackField, ...] = ()
    tensor: Tensor | None = None


RULES: dict[str, Any] = {
    "word": {"enum": ["a", "b", None]},
    "one": {"enum": ["a"]},
    "either": {"anyOf": [{"enum": ["all"]}, {"type": "integer"}]},
    "listed": {"items": {"exclusiveMinimum": 0, "type": "integer"}, "type": ["array", "null"]},
    "single_or_list": {
        "anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}]
    },
    "inner": {
        "properties": {"depth": {"description": "how deep", "minimum": 1, "type": "integer"}},
        "type": "object",
    },
    "attack": {"anyOf": [{"$ref": "#/$defs/inner_attack"}, {"type": "null"}]},
    "attacks": {"items": {"$ref": "#/$defs/inner_attack.whole"}, "type": "array"},
}


@pytest.mark.parametrize(("field", "rules"), RULES.items(), ids=RULES)
def test_the_schema_of_a_field(field: str, rules: dict[str, Any]) -> None:
    assert schemas_of(Everything)[field] == rules


def test_a_number_may_be_text_with_a_sign_where_it_may_be_negative() -> None:
    size, shift = schemas_of(Everything)["size"], schemas_of(Everything)["shift"]
    assert (size["type"], size["minimum"], size["maximum"]) == (["number", "string"], 0, 2)
    assert (shift["type"], shift["exclusiveMinimum"]) == (["number", "string", "null"], -1)
    assert "[-+]?" in shift["pattern"].split("\\d", 1)[0]
    assert "[-+]?" not in size["pattern"].split("\\d", 1)[0]


def test_a_type_that_no_schema_knows_is_open() -> None:
    assert {} in schemas_of(Everything)["tensor"]["anyOf"]


class Pair(Method):
    """The same type of method twice."""

    kind: ClassVar[str] = "attack"
    first: AttackField
    then: AttackField


def test_a_method_with_two_methods_of_one_kind_has_its_fields() -> None:
    inner = {"$ref": "#/$defs/inner_attack"}
    assert schemas_of(Pair) == {"first": inner, "then": inner}


def test_an_integer_and_a_number_stay_apart() -> None:
    rules = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "maximum": 0.5}]}
    assert tidy(rules) == rules
