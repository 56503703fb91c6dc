"""JSON Schemas of fields, whose value may be a sweep: `{sweep: [...]}`."""

from __future__ import annotations

import json
from typing import Any

from invspec.registry.catalogue import FieldText

Schema = dict[str, Any]

_METHOD = "expected keys, such as {use: name}"
_IS_SWEEP: Schema = {"type": "object", "required": ["sweep"]}


class Values:
    """The schemas of what fields accept, each of which many fields share."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self.definitions: Schema = {}

    def field(self, about: FieldText) -> Schema:
        """The schema of a field; all that is known of it is in its description."""
        default = "required" if about.default is None else f"default {about.default}"
        rules = dict(about.schema)
        known = {key: rules.pop(key) for key in ("default",) if key in rules}
        description = f"{about.meaning}\n\n{about.type}, {default}"
        return {"description": description, **known, **self._reference(swept(rules, about.type))}

    def _reference(self, rules: Schema) -> Schema:
        name = self._names.setdefault(json.dumps(rules), f"value:{len(self._names)}")
        self.definitions[name] = rules
        return {"$ref": f"#/$defs/{name}"}


def swept(rules: Schema, words: str = "") -> Schema:
    """The schema of a value or of a sweep over such values; words say what a value is.

    Editors complete a key by the type that is outermost in its schema, so it is written there.
    """
    if not rules:
        return {}
    if _holds_keys(rules):
        otherwise = {"if": _IS_SWEEP, "then": _sweep(rules, words), "else": _with_swept_keys(rules)}
        inside = [name for part in rules.get("anyOf", []) for name in _types(part)]
        types = list(dict.fromkeys(["object", *_types(rules), *inside]))
        return {"type": types, "errorMessage": _METHOD, **otherwise}
    if "enum" in rules or "anyOf" in rules:
        alternatives = rules.get("anyOf", [rules])
        values = [_worded(part, words) for part in alternatives]
        return {"anyOf": [*values, {"type": "object", **_sweep(rules, words)}]}
    wanted = f"expected {words}, or {{sweep: [...]}}"
    branch = {"if": {"type": "object"}, "then": _sweep(rules, words)}
    return {**rules, "type": [*_types(rules), "object"], "errorMessage": wanted, **branch}


def _sweep(rules: Schema, words: str) -> Schema:
    items = _worded(rules, words)
    return {
        "properties": {"sweep": {"type": "array", "minItems": 1, "items": items}},
        "required": ["sweep"],
        "additionalProperties": False,
    }


def _worded(rules: Schema, words: str) -> Schema:
    """A schema whose mistakes are told in words, unless it has mistakes of its own."""
    has_own = not words or _holds_keys(rules) or "anyOf" in rules
    return rules if has_own else {**rules, "errorMessage": f"expected {words}"}


def _holds_keys(rules: Schema) -> bool:
    """Whether a value may have keys: a method, or a mapping."""
    inside = rules.get("anyOf", [])
    return "$ref" in rules or "object" in _types(rules) or any(map(_holds_keys, inside))


def _with_swept_keys(rules: Schema) -> Schema:
    """The schema of a mapping whose values may be swept one by one, or of a method or nothing."""
    holding = [part for part in rules.get("anyOf", []) if part != {"type": "null"}]
    if len(holding) == 1:
        # the types of all alternatives are given around it
        return {"if": {"type": "object"}, "then": holding[0]}
    keys = {name: swept(inner) for name, inner in rules.get("properties", {}).items()}
    return {**rules, **({"properties": keys} if keys else {})}


def _types(rules: Schema) -> list[str]:
    listed = rules.get("type", [])
    return [listed] if isinstance(listed, str) else listed
