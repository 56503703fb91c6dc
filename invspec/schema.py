"""JSON Schema of a spec, with the registry's names, so that an editor can complete and check one."""

from __future__ import annotations

import json
from typing import Any

from invspec import cards
from invspec.spec import KINDS, Written


def text() -> str:
    """The schema as JSON."""
    schema: dict[str, Any] = Written.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    for part, kind in KINDS.items():
        names = {name: cards.card(kind, name).summary for name in cards.names(kind)}
        schema["properties"][part] = {
            "type": "object",
            "description": f"label: {{use: name of a {kind} (default: the label), ...its fields}}",
            "minProperties": 1,
            "propertyNames": {"anyOf": [{"const": name, "description": names[name]} for name in names] + [_LABEL]},
            "additionalProperties": {
                "type": ["object", "null"],
                "properties": {"use": {"enum": list(names)}, **_OWN.get(part, {})},
            },
        }
    return json.dumps(schema, indent=2)


_LABEL = {"pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"}
_OWN: dict[str, dict[str, Any]] = {
    "attacks": {"sample": {"$ref": "#/$defs/Sample"}},
    "measures": {"of": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}},
}
