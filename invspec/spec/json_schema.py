"""JSON Schema of a spec with the registry's names, for completion and checks in editors."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from invspec.registry import cards
from invspec.registry.cards import Kind
from invspec.spec import transforms
from invspec.spec.labels import PARTS, Label, Labels
from invspec.spec.schema import Seeds, Threads, Written

# The keys of entries that are not fields of their methods, besides `use`.
_KEYS: dict[str, dict[str, Any]] = {
    "attacks": {
        "sample": {"$ref": "#/$defs/Sample"},
        "from": {"$ref": "#/$defs/Source"},
        "generator": {"$ref": "#/$defs/Generator"},
        "independent": {"type": "boolean"},
    },
    "defences": {
        "threads": TypeAdapter(Threads).json_schema(),
        "feature_net": {"$ref": "#/$defs/FeatureNet"},
    },
    "datasets": {"seeds": TypeAdapter(Seeds).json_schema()},
    "measures": {
        "of": TypeAdapter(Labels).json_schema(),
        "union": {"type": "boolean"},
        "correct_in_all": {"type": "boolean"},
        "oracle": {"$ref": "#/$defs/Oracle"},
    },
}


def text() -> str:
    """The schema as JSON."""
    schema: dict[str, Any] = Written.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    for name in ("Claim", "Premise", "Alternative"):
        _allow_short_forms(schema["$defs"][name]["properties"])
    cells = schema["$defs"]["PublishedTable"]["properties"]["values"]["anyOf"][0]
    cells["additionalProperties"] = {"anyOf": [{"type": ["number", "string"]}, {"type": "object"}]}
    seeds = schema["properties"]["seeds"]
    paired = {"type": "object", "properties": {"paired": seeds}, "required": ["paired"]}
    schema["properties"]["seeds"] = {"anyOf": [seeds, {**paired, "additionalProperties": False}]}
    label = TypeAdapter(Label).json_schema()
    schema["properties"]["scales"] = {
        "type": "object",
        "description": "name: {dotted path: value}; --scale name applies these values",
        "propertyNames": label,
        "additionalProperties": {"type": "object"},
    }
    for part, kind in PARTS.items():
        schema["properties"][part] = _entries(part, kind, label)
    own = schema["properties"]["attacks"]["additionalProperties"]["properties"]
    own["before"] = _before()
    # the keys of a spec that extends others may be theirs
    schema |= {"if": {"required": ["extends"]}, "else": {"required": schema.pop("required")}}
    schema["patternProperties"] = {"^x-": {}}
    return json.dumps(schema, indent=2)


def _allow_short_forms(claim: dict[str, Any]) -> None:
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


def _before() -> dict[str, Any]:
    """The schema of what transforms the images of an attack, or of a sweep over it."""
    transform = {
        "type": "object",
        "properties": {"use": {"enum": transforms.names()}},
        "required": ["use"],
    }
    swept = {"type": "object", "properties": {"sweep": {"type": "array"}}, "required": ["sweep"]}
    return {"anyOf": [transform, swept]}


def _entries(part: str, kind: Kind, label: dict[str, Any]) -> dict[str, Any]:
    """The schema of one part; editors complete names of cards as labels."""
    summaries = {name: cards.card(kind, name).summary for name in cards.names(kind)}
    names = [{"const": name, "description": summary} for name, summary in summaries.items()]
    return {
        "type": "object",
        "description": f"label: {{use: name of a {kind} (default: the label), ...its fields}}",
        "minProperties": 1,
        "propertyNames": {"anyOf": [*names, label]},
        "additionalProperties": {
            "type": ["object", "null"],
            "properties": {"use": {"enum": list(summaries)}, **_KEYS.get(part, {})},
        },
    }
