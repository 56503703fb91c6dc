"""JSON Schema of a spec without its methods, and of the keys that entries have beside fields."""

from __future__ import annotations

from pydantic import TypeAdapter

from invspec.registry.cards import PARTS
from invspec.registry.field_schemas import Schema, described, tidy
from invspec.spec.entries import OWNERS, Entry
from invspec.spec.labels import Label
from invspec.spec.schema import Written


def frame() -> Schema:
    """The schema of a spec; those of its parts, its checks and its scales are left open.

    `entries` are the schemas of the keys that entries have beside their fields, by part.
    """
    schema: Schema = Written.model_json_schema(by_alias=True)
    entry: Schema = Entry.model_json_schema(by_alias=True)
    definitions = {**schema["$defs"], **entry["$defs"]}
    for name in ("Claim", "Premise", "Alternative"):
        _allow_short_forms(definitions[name]["properties"])
    cells = definitions["PublishedTable"]["properties"]["values"]["anyOf"][0]
    cells["additionalProperties"] = {"anyOf": [{"type": ["number", "string"]}, {"type": "object"}]}
    keys = {key: _tidy(rules) for key, rules in schema["properties"].items()}
    return {
        "required": schema["required"],
        "properties": {
            **keys,
            "seeds": _or_paired(keys["seeds"]),
            **{part: {} for part in PARTS},
            **{key: described(schema["properties"][key], {}) for key in ("checks", "scales")},
        },
        "entries": {part: _own_keys(part, entry["properties"]) for part in PARTS},
        "label": TypeAdapter(Label).json_schema(),
        "$defs": {name: _tidy(definitions[name]) for name in definitions if name != "Entry"},
    }


def _tidy(rules: Schema) -> Schema:
    return described(rules, tidy(rules))


def _or_paired(seeds: Schema) -> Schema:
    """The schema of seeds, which may be `{paired: [...]}`."""
    paired = {"type": "object", "properties": {"paired": seeds}, "required": ["paired"]}
    either = [seeds, {**paired, "additionalProperties": False}]
    return {"description": seeds["description"], "anyOf": either}


def _own_keys(part: str, properties: Schema) -> Schema:
    """The schemas of the keys that only entries of this part have; none of them is null."""
    return {
        key: _tidy(_not_null(properties[key])) for key, owner in OWNERS.items() if owner == part
    }


def _not_null(rules: Schema) -> Schema:
    return {**rules, "anyOf": [part for part in rules["anyOf"] if part != {"type": "null"}]}


def _allow_short_forms(claim: Schema) -> None:
    """Allow what validators of a claim write out: rising, a plain number, a single premise."""
    statistics, *_ = claim["expect"]["anyOf"]
    every_step = {
        "type": "object",
        "properties": {"every_step": {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/Bound"}]}},
        "required": ["every_step"],
        "additionalProperties": False,
    }
    monotone = {
        "type": "object",
        "properties": {"rising": every_step, "falling": every_step},
        "additionalProperties": False,
        "maxProperties": 1,
    }
    words = {"enum": ["rising", "falling"]}
    claim["expect"] = {"anyOf": [words, {**statistics, "maxProperties": 1}, monotone]}
    claim["published"] = {"anyOf": [*claim["published"]["anyOf"], {"type": ["number", "string"]}]}
    if "given" in claim:
        premise = {"$ref": "#/$defs/Premise"}
        claim["given"] = {"anyOf": [premise, {"type": "array", "items": premise}]}
