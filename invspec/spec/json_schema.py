"""JSON Schema of a spec, with the registry's names, so that an editor can complete and check one."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from invspec.registry import cards
from invspec.spec.schema import KINDS, Label, Labels, Written


def text() -> str:
    """The schema as JSON."""
    schema: dict[str, Any] = Written.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    claim = schema["$defs"]["Claim"]["properties"]
    claim["expect"] = {
        "anyOf": [{"enum": ["rising", "falling"]}, {**claim["expect"], "maxProperties": 1}]
    }
    label = TypeAdapter(Label).json_schema()
    schema["properties"]["scales"] = {
        "type": "object",
        "description": "name: {dotted path: value}, laid over the spec by --scale name",
        "propertyNames": label,
        "additionalProperties": {"type": "object"},
    }
    own = {
        "attacks": {"sample": {"$ref": "#/$defs/Sample"}, "independent": {"type": "boolean"}},
        "measures": {"of": TypeAdapter(Labels).json_schema(), "oracle": {"$ref": "#/$defs/Oracle"}},
    }
    for part, kind in KINDS.items():
        names = {name: cards.card(kind, name).summary for name in cards.names(kind)}
        schema["properties"][part] = {
            "type": "object",
            "description": f"label: {{use: name of a {kind} (default: the label), ...its fields}}",
            "minProperties": 1,
            "propertyNames": {
                "anyOf": [{"const": name, "description": names[name]} for name in names] + [label]
            },
            "additionalProperties": {
                "type": ["object", "null"],
                "properties": {"use": {"enum": list(names)}, **own.get(part, {})},
            },
        }
    return json.dumps(schema, indent=2)
