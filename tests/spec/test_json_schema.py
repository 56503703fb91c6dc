"""The JSON Schema for editors accepts valid specs and refuses common mistakes."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest

from invspec.registry.cards import names, shipped
from invspec.spec import document, json_schema
from invspec.spec.schema import PARTS


@cache
def whole() -> dict[str, Any]:
    return json.loads(json_schema.text())


TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def is_a(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and not (
        isinstance(value, bool) and name in ("number", "integer")
    )


def faults(value: Any, rule: Any, at: str = "") -> Iterator[str]:
    """Where a value breaks a schema. Supports as much of JSON Schema as ours needs."""
    if isinstance(rule, bool):
        yield from () if rule else (at,)
        return
    for word, wanted in rule.items():
        match word:
            case "$ref":
                yield from faults(value, whole()["$defs"][wanted.removeprefix("#/$defs/")], at)
            case "anyOf":
                yield from () if any(not list(faults(value, first)) for first in wanted) else (at,)
            case "type":
                listed = wanted if isinstance(wanted, list) else [wanted]
                yield from () if any(is_a(value, name) for name in listed) else (at,)
            case "enum":
                yield from () if value in wanted else (at,)
            case "const":
                yield from () if value == wanted else (at,)
            case (
                "minimum"
                | "maximum"
                | "exclusiveMaximum"
                | "minLength"
                | "maxLength"
                | "exclusiveMinimum"
                | "minItems"
                | "maxItems"
                | "minProperties"
                | "maxProperties"
            ):
                yield from () if within(value, word, wanted) else (at,)
            case "pattern":
                yield from () if not isinstance(value, str) or re.search(wanted, value) else (at,)
            case "items":
                parts = enumerate(value) if isinstance(value, list) else ()
                yield from (
                    fault
                    for number, item in parts
                    for fault in faults(item, wanted, f"{at}.{number}")
                )
            case "prefixItems":
                parts = zip(value, wanted, strict=False) if isinstance(value, list) else ()
                yield from (
                    fault
                    for number, (item, first) in enumerate(parts)
                    for fault in faults(item, first, f"{at}.{number}")
                )
            case "required":
                yield from (
                    f"{at}.{name}"
                    for name in wanted
                    if isinstance(value, dict) and name not in value
                )
            case "if":
                branch = "else" if list(faults(value, wanted)) else "then"
                yield from faults(value, rule.get(branch, True), at)
            case "patternProperties":
                yield from (
                    fault
                    for pattern, inner in wanted.items()
                    for name, item in entries(value).items()
                    if re.search(pattern, name)
                    for fault in faults(item, inner, f"{at}.{name}")
                )
            case "propertyNames":
                yield from (f"{at}.{name}" for name in entries(value) if list(faults(name, wanted)))
            case "properties":
                inside = {name: first for name, first in entries(value).items() if name in wanted}
                yield from (
                    fault
                    for name in inside
                    for fault in faults(inside[name], wanted[name], f"{at}.{name}")
                )
            case "additionalProperties":
                rest = {
                    name: first
                    for name, first in entries(value).items()
                    if name not in rule.get("properties", {})
                    and not any(
                        re.search(pattern, name) for pattern in rule.get("patternProperties", ())
                    )
                }
                yield from (
                    fault for name in rest for fault in faults(rest[name], wanted, f"{at}.{name}")
                )
            case "$schema" | "$defs" | "title" | "description" | "default" | "then" | "else":
                pass
            case _:
                raise AssertionError(f"{word} is not known to these tests")


def entries(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def within(value: Any, word: str, limit: float) -> bool:
    orders = {
        "minimum": operator.ge,
        "exclusiveMinimum": operator.gt,
        "maximum": operator.le,
        "exclusiveMaximum": operator.lt,
    }
    if word in orders:
        return not is_a(value, "number") or orders[word](value, limit)
    size = len(value) if isinstance(value, str | list | dict) else limit
    return size >= limit if word.startswith("min") else size <= limit


@pytest.mark.parametrize(
    "path", sorted(shipped("specs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_schema_accepts_every_spec_that_ships(path: Path) -> None:
    assert list(faults(document.read(path).values, whole())) == []


GOOD = document.read(shipped("specs") / "quickstart.yaml")
ACCEPTED: dict[str, tuple[str, Any]] = {
    "an empty entry": ("attacks.pgd", None),
    "a label that is no name": ("attacks.mine", {"use": "pgd"}),
    "a training on two threads": ("defences.rotations.threads", 2),
    "a list of labels": ("measures.accuracy.of", ["none"]),
    "a fraction in a bound": ("claims.0.expect", {"difference": {"above": "8/255"}}),
    "a word for a correlation": ("claims.0.expect", "rising"),
    "a scale": ("scales", {"laptop": {"seeds": [0], "attacks.pgd.steps": 3}}),
    "every step": ("claims.0.expect", {"rising": {"every_step": {"above": -0.01}}}),
    "a nested number": (
        "claims.0.value",
        {"difference": [{"measure": "a"}, {"sum": [{"measure": "b"}, 1]}]},
    ),
    "a quantile": ("claims.0.value", {"measure": "a", "over": {"x": {"quantile": 0.9}}}),
    "a renamed coordinate": ("claims.0.value", {"measure": "a", "as": {"pgd.eps": "eps"}}),
    "a premise": ("claims.0.given", {"value": {"measure": "a"}, "expect": {"value": {"above": 1}}}),
    "premises": (
        "claims.0.given",
        [{"value": {"measure": "a"}, "expect": {"value": {"above": 1}}}],
    ),
    "alternatives": ("claims.0.one_of", [{"says": "a"}, {"says": "b", "expect": "rising"}]),
    "a published number": ("claims.0.published", 0.5),
    "a published number with its error": ("claims.0.published", {"value": 0.5, "n": 100}),
    "a published table": (
        "report",
        [
            {
                "of": "a",
                "published": {"n": 9, "by": "model", "values": {"a": 0.5, "b": {"value": 1}}},
            }
        ],
    ),
    "a file that it extends": ("extends", "shared/nets.yaml"),
    "files that it extends": ("extends", ["nets.yaml", "quickstart"]),
    "a private key": ("x-recipe", {"any": ["thing"]}),
    "a layout": ("report", [{"of": "accuracy", "rows": "model", "columns": "pgd.eps"}]),
}


@pytest.mark.parametrize(("dotted", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_the_schema_accepts_every_form_of_an_entry(dotted: str, value: Any) -> None:
    assert list(faults(GOOD.overlay(dotted, value, "here").values, whole())) == []


REFUSED: dict[str, tuple[str, Any]] = {
    "an unknown key": ("claim", []),
    "no file to extend": ("extends", []),
    "a private entry": ("train.0", {"x-note": 1, **GOOD.values["train"][0]}),
    "an unknown name": ("attacks.pgd.use", "pdg"),
    "a label with a dot": ("attacks.pgd-2", {"use": 3}),
    "no attacks": ("attacks", {}),
    "an entry that is a text": ("attacks.pgd", "fgsm"),
    "a misspelt key of a sample": ("attacks.pgd.sample", {"limt": 3}),
    "no threads": ("defences.rotations.threads", 0),
    "no train lines": ("train", []),
    "a train line without a model": ("train.0", {"dataset": "digits", "defence": "rotations"}),
    "a negative seed": ("seeds", [-1]),
    "a true seed": ("seeds", [True]),
    "a misspelt trend": ("claims.0.expect", "risng"),
    "two statistics": ("claims.0.expect", {"difference": {"above": 0}, "ratio": {"above": 1}}),
    "a misspelt operation": ("claims.0.value", {"diference": [{"measure": "a"}, 1]}),
    "an unknown reduction": ("claims.0.value", {"measure": "a", "over": {"x": "aera"}}),
    "a single alternative": ("claims.0.one_of", [{"says": "a"}]),
    "a premise without a bound that is known": ("claims.0.given", {"expect": {"valeu": {}}}),
    "a bound that is a word": ("claims.0.expect", {"difference": {"above": "much"}}),
    "a scale with a slash": ("scales", {"a/b": {}}),
}


@pytest.mark.parametrize(("dotted", "value"), REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses_common_mistakes_at_their_place(dotted: str, value: Any) -> None:
    result = list(faults(GOOD.overlay(dotted, value, "here").values, whole()))
    assert result
    assert all(fault.startswith(f".{dotted}") for fault in result)


def test_a_spec_may_leave_out_what_it_extends() -> None:
    title = {"title": "toy"}
    assert ".train" in set(faults(title, whole()))
    assert not list(faults({**title, "extends": "quickstart"}, whole()))


@pytest.mark.parametrize(("part", "kind"), PARTS.items())
def test_the_schema_completes_the_names_of_the_registry(part: str, kind: Any) -> None:
    rule = whole()["properties"][part]
    assert rule["additionalProperties"]["properties"]["use"]["enum"] == list(names(kind))
    completed = [item["const"] for item in rule["propertyNames"]["anyOf"] if "const" in item]
    assert completed == list(names(kind))


def test_the_schema_says_which_dialect_it_is() -> None:
    assert whole()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
