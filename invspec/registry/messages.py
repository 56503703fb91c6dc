"""pydantic's complaints in the words of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from invspec.errors import SpecError, suggest
from invspec.kinds import Method


def explain(
    problem: ValidationError, model: type[BaseModel], given: Mapping[str, Any]
) -> SpecError:
    """pydantic's first complaint about what was given, in the words of a spec: found, expected, a hint."""
    errors = problem.errors(include_url=False)
    first = _clearest(errors)
    path = _as_written(first["loc"], given)
    nested = first.get("ctx", {}).get("error")
    if isinstance(nested, NestedError):
        return nested.error.within(*path)
    if first["type"] == "missing":
        return SpecError("is missing", path=(*path, first["loc"][-1]))
    if first["type"] == "extra_forbidden":
        return _unknown(str(path[-1]), _owner(model, path[:-1])).within(*path[:-1])
    if first["type"] == "value_error":
        return SpecError(str(nested), path=path)
    same = [
        one for one in errors if one["input"] is first["input"] and one["type"] != "value_error"
    ]
    beside = [one for one in same if _as_written(one["loc"], given) == path]
    expected = " or ".join(dict.fromkeys(map(_expected, beside)))  # one for each choice of a union
    return SpecError(f"expected {expected}, found {shown(first['input'])}", path=path)


def _clearest(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The first error, or the misspelt key that explains why another one is missing."""
    first = errors[0]
    beside = [
        one
        for one in errors
        if one["type"] == "extra_forbidden" and one["loc"][:-1] == first["loc"][:-1]
    ]
    return beside[0] if beside and first["type"] == "missing" else first


def _as_written(path: Iterable[str | int], given: Any) -> tuple[str | int, ...]:
    """A path without the steps that pydantic adds for unions and validators: those that what was given has."""
    kept: list[str | int] = []
    for step in path:
        inside = cast(
            Mapping[Any, Any], given if isinstance(given, dict) else dict(enumerate(_items(given)))
        )
        if step in inside:
            kept.append(step)
            given = inside[step]
    return tuple(kept)


def _items(given: Any) -> Sequence[Any]:
    return cast(Sequence[Any], given) if isinstance(given, list | tuple) else ()


def _owner(model: type[BaseModel], path: Iterable[str | int]) -> type[BaseModel]:
    """The model whose keys stand at a path."""
    for step in path:
        field = model.model_fields.get(str(step))
        model = (_model_in(field.annotation) if field else None) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _unknown(word: str, owner: type[BaseModel]) -> SpecError:
    """What to say of a key that its owner, a method or a part of a spec, does not have."""
    known = [field.alias or name for name, field in owner.model_fields.items()]
    if not issubclass(owner, Method):
        return SpecError(f"no key {word!r} is known here", hint=suggest(word, known), path=(word,))
    hint = suggest(word, known, f"{owner.__name__} takes") or f"{owner.__name__} takes none"
    return SpecError(f"{owner.__name__} has no such parameter", hint=hint, path=(word,))


_EXPECTED = {
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "string_too_long": "a text of length {max_length} or less",
    "string_too_short": "a text of length {min_length} or more",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
}


_EXPECTED_TYPE = {
    "bool": "true or false",
    "dict": "keys with values",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "keys with values",
    "string": "a text",
    "tuple": "a list",
}


def _expected(error: ErrorDetails) -> str:
    """What would have been right."""
    limits = {
        name: f"{x:g}" if isinstance(x, float) else x for name, x in error.get("ctx", {}).items()
    }
    if (known := _EXPECTED.get(error["type"])) is not None:
        return known.format(**limits)
    if (known := _EXPECTED_TYPE.get(error["type"].split("_")[0])) is not None:
        return known
    return error["msg"].removeprefix("Input should be ")


def shown(value: Any) -> str:
    """A value as a message has it, cut where it is long."""
    text = (
        "nothing"
        if value is None
        else str(value).lower()
        if isinstance(value, bool)
        else repr(value)
    )
    return text if len(text) <= 60 else f"{text[:57]}..."


class NestedError(ValueError):
    """Carries a SpecError through pydantic, which keeps only ValueErrors."""

    def __init__(self, error: SpecError) -> None:
        super().__init__(error.message)
        self.error = error
