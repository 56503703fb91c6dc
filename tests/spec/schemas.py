"""The JSON Schema of specs, and what it says of values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError

from invspec.cli import descriptions
from invspec.registry import catalogue
from invspec.spec import json_schema


@cache
def rules() -> dict[str, Any]:
    """The schema of what ships."""
    return json_schema.schema(catalogue.frame(), descriptions.every())


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(rules())


def mistakes(values: Any) -> list[ValidationError]:
    """What the schema refuses in a spec."""
    return list(validator().iter_errors(values))


def faults(values: Any) -> list[str]:
    """The dotted paths of what the schema refuses: of a missing key and of an unknown one, too."""
    return [
        ".".join(map(str, (*error.absolute_path, *steps)))
        for error in mistakes(values)
        for steps in _steps(error)
    ]


def _steps(error: ValidationError) -> Iterator[tuple[str, ...]]:
    """The rest of the paths to the keys that an error is about."""
    if "propertyNames" in error.schema_path:
        yield (str(error.instance),)
    elif error.validator == "required":
        yield (error.message.split("'")[1],)
    elif error.validator == "additionalProperties":
        patterns = error.schema.get("patternProperties", ())
        for key in cast(dict[str, Any], error.instance):
            is_known = key in error.schema.get("properties", ())
            if not is_known and not any(re.search(pattern, key) for pattern in patterns):
                yield (key,)
    else:
        yield ()
