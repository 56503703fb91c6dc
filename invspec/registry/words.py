"""The fields of a method in words, for its page in `invspec list` and for editors."""

from __future__ import annotations

import json
import typing
from types import NoneType
from typing import Any, cast, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from invspec.kinds import Method
from invspec.kinds.units import annotated_unit
from invspec.registry.cards import Card

Fields = dict[str, FieldInfo]  # by the names that a spec uses

_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_WORDS = {float: "number", int: "whole number", bool: "true | false", str: "text", NoneType: "null"}


def fields_of(method: type[Method]) -> Fields:
    """The fields of a method: first those that it adds, last those of its most general base."""
    ancestry = [vars(base).get("__annotations__", {}) for base in method.__mro__]

    def origin(name: str) -> int:
        # a subclass may declare a field again, for another default
        return max(steps for steps, names in enumerate(ancestry) if name in names)

    ordered = sorted(method.model_fields, key=origin)
    return {method.model_fields[name].alias or name: method.model_fields[name] for name in ordered}


def default(card: Card, field: str, about: FieldInfo) -> str:
    """The default of a field as a spec writes it, the card's before the class's; or required."""
    if field in card.params:
        return yaml_text(card.params[field])
    return "required" if about.is_required() else yaml_text(default_of(about))


def default_of(about: FieldInfo) -> Any:
    """The default of a field of the class."""
    return about.get_default(call_default_factory=True)


def yaml_text(value: Any) -> str:
    """A value as a spec writes it; a method by its class and the fields that were set."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _yaml_string(value)
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return f"{{{', '.join(f'{key}: {yaml_text(item)}' for key, item in items)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_text, cast(list[Any], value)))}]"
    changed = getattr(value, "model_fields_set", None)
    if changed is None:
        return str(value)
    settings = {field: getattr(value, field) for field in sorted(changed)}
    return f"{type(value).__name__} {yaml_text(settings)}"


def _yaml_string(text: str) -> str:
    """A string, quoted where YAML would read something else in a list."""
    try:
        is_plain = yaml.safe_load(f"[{text}]") == [text]
    except yaml.YAMLError:
        is_plain = False
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def type_words(about: FieldInfo) -> str:
    """The type of a field and its limits: number 0 to 1."""
    limits = {
        name: f"{getattr(constraint, name):g}"
        for constraint in about.metadata
        for name in _SIGNS
        if hasattr(constraint, name)
    }
    if limits.keys() == {"ge", "le"}:
        return f"{_words(about.annotation)} {limits['ge']} to {limits['le']}"
    signed = ", ".join(f"{_SIGNS[name]} {limit}" for name, limit in limits.items())
    return f"{_words(about.annotation)} {signed}".rstrip()


def meaning(about: FieldInfo) -> str:
    """The description of a field and its unit."""
    unit = annotated_unit(about)
    # descriptions that already name their unit say it once
    unit = "" if unit and unit.split()[0] in (about.description or "") else unit
    return f"{about.description or ''}{f' ({unit})' if unit else ''}"


def _words(annotation: Any) -> str:
    """A type in words: number, linf | l2, [whole number, ...]."""
    inner = get_args(annotation)
    if annotation in _WORDS or not inner:
        return _WORDS.get(annotation) or getattr(annotation, "__name__", str(annotation)).lower()
    match get_origin(annotation):
        case typing.Literal:
            return " | ".join(map(str, inner))
        case typing.Annotated:
            return _words(inner[0])
        case origin if origin in (tuple, list):
            items = ("..." if item is Ellipsis else _words(item) for item in inner)
            return f"[{', '.join(items)}]"
        case _:
            return " | ".join(map(_words, inner))
