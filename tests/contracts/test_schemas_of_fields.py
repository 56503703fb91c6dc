"""Editors refuse no value of a field that invspec takes, and most of what it does not take."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemas import rules

from invspec.errors import SpecError
from invspec.registry.cards import KINDS, Kind, names
from invspec.registry.methods import make

VALUES: list[Any] = [
    *(None, True, False, -1, -0.5, 0, 0.5, 1, 2.5, 3, 10**9),
    *("word", "8/255", "-8/255", "linf", "a" * 64, "c4"),
    *([], [1], [0.5, 0.5], [2, 2], [3, 3, 3], [[0, 1]], ["word"], [None, 1]),
    *({}, {"a": 1}, {"use": "pgd"}, {"use": "lenet"}, {"use": "nothing"}, [{"use": "pgd"}]),
]
CARDS = [(kind, name) for kind in KINDS for name in names(kind)]


def refuses(kind: Kind, name: str, field: str, value: Any) -> bool:
    """Whether a method cannot be made because of the value of this field."""
    try:
        make(kind, name, {field: value})
    except SpecError as problem:
        return any(part.path[:1] == (field,) for part in problem.problems)
    return False


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_what_the_schema_of_a_field_refuses_is_refused(kind: Kind, name: str) -> None:
    fields = rules()["$defs"][f"{kind}:{name}"]["properties"]
    definitions = {"$defs": rules()["$defs"]}
    for field in fields.keys() - rules()["$defs"][kind]["properties"].keys():
        schema = Draft202012Validator({**fields[field], **definitions})
        wrong = [value for value in VALUES if not schema.is_valid(value)]
        taken = [value for value in wrong if not refuses(kind, name, field, value)]
        # 0 and 1 are taken for false and true, which an editor may ask for
        also = [0, 1] if schema.is_valid(False) else []
        assert [value for value in taken if type(value) is not int or value not in also] == [], (
            field
        )
