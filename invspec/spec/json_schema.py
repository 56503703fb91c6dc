"""JSON Schema of a spec with the fields of every method, for completion and checks in editors.

Reading this module imports neither torch nor pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from invspec.registry.cards import PARTS, with_article
from invspec.registry.catalogue import Descriptions
from invspec.spec import entry_schemas
from invspec.spec.entry_schemas import Schema, reference

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(frame: Schema, methods: Descriptions) -> Schema:
    """The JSON Schema of a spec that may use these methods; the frame is that of `frame.py`.

    A file with a title that extends no other is a whole spec. In others, what is missing may be in
    another file.
    """
    return {
        "$schema": DIALECT,
        "title": "spec",
        "type": "object",
        "properties": {
            **frame["properties"],
            **{part: _about(part) for part in PARTS},
            "checks": frame["properties"]["checks"] | _checks(list(methods["check"])),
            "scales": frame["properties"]["scales"] | _scales(frame),
        },
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
        "if": {"required": ["title"], "not": {"required": ["extends"]}},
        "then": {
            "required": frame["required"],
            "properties": {part: reference(f"{part}.whole") for part in PARTS},
        },
        "else": {"properties": {part: reference(part) for part in PARTS}},
        "$defs": {**frame["$defs"], **entry_schemas.definitions(frame, methods)},
    }


def text(rules: Schema) -> str:
    """The schema as JSON, with a line for each of its keys and definitions."""
    definitions = _lines(rules["$defs"])
    return _lines({key: value for key, value in rules.items() if key != "$defs"}, definitions)


def _lines(values: Schema, definitions: str = "") -> str:
    lines = [f"{json.dumps(key)}: {json.dumps(values[key], ensure_ascii=False)}" for key in values]
    if definitions:
        lines.append(f'"$defs": {definitions}')
    return "{\n" + ",\n".join(lines) + "\n}"


def _about(part: str) -> Schema:
    """What a part holds."""
    kind = with_article(PARTS[part])
    words = f"label: {{use: name of {kind} (default: the label), ...its fields}}"
    return {"type": "object", "description": words, "errorMessage": f"expected {words}"}


def _checks(names: list[str]) -> Schema:
    """The schema of checks: none, a list of names and entries, or entries as in other parts."""
    word = f"expected none, default or a check: {', '.join(names)}"
    named = {"enum": ["default", *names], "errorMessage": word}
    items = {"anyOf": [named, reference("check.whole")]}
    listed = {"type": "array", "minItems": 1, "items": items}
    labelled = {"type": "object", **reference("checks")}
    return {"anyOf": [{"enum": ["none"], "errorMessage": word}, listed, labelled]}


def _scales(frame: Schema) -> Schema:
    """The schema of scales: dotted paths and values. The values of whole keys are checked."""
    keys = [key for key in frame["properties"] if key not in ("extends", "scales", *PARTS)]
    inside = "|".join([*PARTS, "checks", "train", "claims", "report", "seeds"])
    scale: Mapping[str, Any] = {
        "type": "object",
        "properties": {key: {"$ref": f"#/properties/{key}"} for key in keys},
        "patternProperties": {f"^({inside})(\\..+)?$": {}},
        "additionalProperties": False,
        "errorMessage": "a path begins with a key of the spec, such as attacks.pgd.eps",
    }
    return {"type": "object", "propertyNames": frame["label"], "additionalProperties": scale}
