"""JSON Schemas of a method's fields, for editors.

An editor shows the mistake of the first alternative that it tries, so alternatives are written as
one schema where their types differ: keywords like `minimum` then only concern values of their type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from invspec.kinds import Method
from invspec.kinds.numbers import FRACTION, NON_NEGATIVE

Schema = dict[str, Any]

# pydantic's own names for limits of a type that a validator precedes
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_NULL: Schema = {"type": "null"}
# keywords that a page or the spec says in its own words
_SILENT = ("title", "description", "default")
_TEXT_WORDS = "expected a number or a fraction like 8/255"


def inner(kind: str, *, whole: bool) -> Schema:
    """The schema of a field that holds a method.

    whole: it must say which. In a field of an entry, a file that the spec extends may say it.
    """
    return {"$ref": f"#/$defs/inner_{kind}{'.whole' if whole else ''}"}


def schemas_of(method: type[Method]) -> dict[str, Schema]:
    """A JSON Schema for each field by its name in a spec, without sweeps; {} where all is valid."""

    class Generator(_Generator):
        root = method

    schema = method.model_json_schema(by_alias=True, schema_generator=Generator)
    definitions = schema.get("$defs", {})
    return {name: tidy(field, definitions) for name, field in schema.get("properties", {}).items()}


class _Generator(GenerateJsonSchema):
    """Schemas in which methods inside of a method are references, and unknown types are open."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012  # as pydantic has it
        "skipped-choice",
        "non-serializable-default",
    }
    root: ClassVar[type[Method]]

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        cls = schema["cls"]
        if issubclass(cls, Method) and cls is not self.root:
            return {"method": cls.kind}
        return super().model_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def tidy(
    schema: Schema, definitions: Mapping[str, Schema] | None = None, *, whole: bool = False
) -> Schema:
    """A schema of pydantic without titles and defaults, and alternatives where one will do.

    References to the definitions are replaced by them. whole: it is an item of a list, which no
    other file completes.
    """
    known = definitions or {}
    if (name := schema.get("$ref", "").removeprefix("#/$defs/")) in known:
        return tidy(known[name], known, whole=whole)
    if "method" in schema:
        return inner(schema["method"], whole=whole)
    rules = {_LIMITS.get(key, key): value for key, value in schema.items() if key not in _SILENT}
    for key in ("items", "additionalProperties"):
        if isinstance(rules.get(key), dict):
            rules[key] = tidy(rules[key], known, whole=key == "items" or whole)
    if "prefixItems" in rules:
        rules["prefixItems"] = [tidy(item, known, whole=True) for item in rules["prefixItems"]]
    if "properties" in rules:
        rules["properties"] = {
            name: described(part, tidy(part, known, whole=whole))
            for name, part in rules["properties"].items()
        }
    if "anyOf" in rules:
        alternatives = [tidy(part, known, whole=whole) for part in rules.pop("anyOf")]
        rules = _joined({**part, **rules} for part in alternatives)
    return _of_values(_of_a_fraction(rules))


def described(written: Schema, rules: Schema) -> Schema:
    """Rules with the description that was written with them."""
    return {**{key: written[key] for key in ("description",) if key in written}, **rules}


def _of_a_fraction(rules: Schema) -> Schema:
    """A number that may be text with a pattern that knows its sign, and with words for mistakes."""
    if rules.get("pattern") != FRACTION:
        return rules
    least = rules.get("minimum", rules.get("exclusiveMinimum", -1))
    pattern = NON_NEGATIVE if least >= 0 else FRACTION
    return {**rules, "pattern": pattern, "patternErrorMessage": _TEXT_WORDS}


def _of_values(rules: Schema) -> Schema:
    """Listed values alone: what their type is, an editor need not say."""
    values = [rules["const"]] if "const" in rules else rules.get("enum")
    return rules if values is None else {"enum": values}


def _joined(alternatives: Iterable[Schema]) -> Schema:
    """Alternatives as one schema where no two are for values of one type."""
    joined: list[Schema] = []
    for part in _flat(alternatives):
        for place, other in enumerate(joined):
            if (both := _both(other, part)) is not None:
                joined[place] = both
                break
        else:
            joined.append(part)
    return joined[0] if len(joined) == 1 else {"anyOf": joined}


def _flat(alternatives: Iterable[Schema]) -> Iterator[Schema]:
    """Alternatives without those that are alternatives themselves."""
    for part in alternatives:
        if "anyOf" in part:
            yield from _flat(part["anyOf"])
        else:
            yield part


def _both(first: Schema, second: Schema) -> Schema | None:
    """One schema for the values of two; None if that would mix them up.

    Lists stay apart from single values, in whose place editors would otherwise insert a list.
    """
    if "enum" in first and ("enum" in second or second == _NULL):
        return {"enum": [*first["enum"], *second.get("enum", [None])]}
    types = [*_types(first), *_types(second)]
    if not _types(first) or not _types(second) or ("array" in types and second != _NULL):
        return None
    # an integer is a number, too
    distinct = {"number" if name == "integer" else name for name in types}
    return {**first, **second, "type": types} if len(distinct) == len(types) else None


def _types(schema: Schema) -> list[str]:
    """The types of values that a schema says it is for; those of listed values are left out."""
    listed = schema.get("type", [])
    return [listed] if isinstance(listed, str) else listed
