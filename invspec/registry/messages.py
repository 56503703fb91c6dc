"""pydantic's errors in the words of a spec."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import ErrorDetails

from invspec.errors import Hinted, InvspecError, SpecError, suggest
from invspec.kinds import Method
from invspec.registry import own_code

Path = tuple[str | int, ...]
# seeds that a hint writes out at most
MOST_SEEDS = 10


def explain(
    problem: ValidationError, model: type[BaseModel], written: Mapping[str, Any]
) -> Iterator[SpecError]:
    """pydantic's validation errors as SpecErrors: found, expected and a hint."""
    for path, errors in _by_path(problem.errors(include_url=False), written).items():
        yield from _explained(path, errors, model)


def _by_path(
    errors: Sequence[ErrorDetails], written: Mapping[str, Any]
) -> dict[Path, list[ErrorDetails]]:
    """Errors grouped by their path in what was written; alternatives of a union share a path."""
    by_path: dict[Path, list[ErrorDetails]] = {}
    ancestors: set[Path] = set()
    for error in _without_missing_misspelt(errors):
        path = _as_written(error["loc"], written)
        if error["type"] == "missing":
            path = (*path, error["loc"][-1])
        outer = [path[:length] for length in range(len(path))]
        if path in by_path:
            by_path[path].append(error)
        # an error around or inside another comes from another alternative of the same union
        elif path not in ancestors and not by_path.keys() & outer:
            by_path[path] = [error]
            ancestors.update(outer)
    return by_path


def _without_missing_misspelt(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """The errors, without 'missing key' where a misspelt key explains it."""
    unknown: dict[Path, list[str]] = {}
    for error in errors:
        if error["type"] == "extra_forbidden":
            unknown.setdefault(error["loc"][:-1], []).append(str(error["loc"][-1]))
    for error in errors:
        *parent, name = error["loc"] or ("",)
        beside = unknown.get(tuple(parent), [])
        if error["type"] != "missing" or not difflib.get_close_matches(str(name), beside, n=1):
            yield error


def _explained(
    path: Path, errors: Sequence[ErrorDetails], model: type[BaseModel]
) -> Iterator[SpecError]:
    first = errors[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, NestedError):
        yield from cause.error.within(*path).problems
    elif first["type"] == "missing":
        yield SpecError("is missing", path=path)
    elif first["type"] == "extra_forbidden":
        yield _unknown(str(path[-1]), _owner(model, path[:-1])).within(*path[:-1])
    elif first["type"] in ("value_error", "assertion_error"):
        hint = _bool_hint(first["input"]) if "label" in str(cause) else ""
        own = cause.hint if isinstance(cause, Hinted | InvspecError) else _line(cause)
        text = cause.message if isinstance(cause, InvspecError) else str(cause)
        yield SpecError(text or "an assertion failed", hint=hint or own, path=path)
    else:
        same = [error for error in errors if error["input"] is first["input"]]
        expected = dict.fromkeys(
            _expected(error)
            for error in same
            if error["type"] not in ("value_error", "assertion_error")
        )
        message = f"expected {' or '.join(expected)}, found {shown(first['input'])}"
        is_of_words = any(word == "text" or word.startswith("'") for word in expected)
        hint = _bool_hint(first["input"]) if is_of_words else ""
        yield SpecError(message, hint=hint or _list_hint(path, first, model), path=path)


def _line(cause: BaseException | None) -> str:
    """Where a validator of a user's class has refused a value; empty for other classes."""
    line = "" if cause is None else own_code.place(cause)
    return f"raised in {line}" if line else ""


def _bool_hint(value: Any) -> str:
    """What to do about a word that YAML reads as true or false where text is expected."""
    if not isinstance(value, bool):
        return ""
    words = "yes, on and true" if value else "no, off and false"
    return f"YAML reads {words} as {str(value).lower()}; quote the word if it is text"


def _list_hint(path: Path, error: ErrorDetails, model: type[BaseModel]) -> str:
    """What to write in place of a list of values of a method, or of a value in place of a list."""
    value, wanted = error["input"], error["type"].split("_")[0]
    if isinstance(value, list | tuple) and wanted in ("float", "int", "string", "bool", "literal"):
        items = cast(Sequence[Any], value)
        listed = ", ".join(item if isinstance(item, str) else shown(item) for item in items)
        if issubclass(model, Method) and len(path) == 1 and len(items) > 1:
            return f"several values are a sweep: {path[0]}: {{sweep: [{listed}]}}"
        return f"write {listed} alone" if len(items) == 1 else ""
    if wanted in ("list", "tuple") and isinstance(value, str | int | float):
        count = value if path[-1:] == ("seeds",) and isinstance(value, int) else 0
        if 1 < count <= MOST_SEEDS:
            return f"{count} seeds are {list(range(count))}, and seed {count} alone is [{count}]"
        return f"a list of one is [{value}]"
    return ""


def _as_written(path: Iterable[str | int], written: Any) -> Path:
    """A path without the steps that pydantic adds for unions and validators."""
    steps: list[str | int] = []
    for step in path:
        if isinstance(written, dict) and step in written:
            written = cast(dict[Any, Any], written)[step]
        elif isinstance(written, list | tuple) and isinstance(step, int):
            items = cast(Sequence[Any], written)
            if not 0 <= step < len(items):
                continue
            written = items[step]
        else:
            continue
        steps.append(step)
    return tuple(steps)


def _owner(model: type[BaseModel], path: Iterable[str | int]) -> type[BaseModel]:
    """The model that has the keys at a path."""
    for step in path:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        field = fields.get(str(step))
        model = (_model_in(field.annotation) if field else None) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that an author can write; fields outside the JSON Schema are not among them."""
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if not any(isinstance(item, SkipJsonSchema) for item in field.metadata)  # pyright: ignore[reportArgumentType]  # a class when it runs
    ]


def _unknown(word: str, owner: type[BaseModel]) -> SpecError:
    """The error for a key that its owner, a method or a part of a spec, does not have."""
    known = keys_of(owner)
    if not issubclass(owner, Method):
        return SpecError(f"unknown key {word!r}", hint=suggest(word, known), path=(word,))
    hint = owner.replaced.get(word) or suggest(word, known, f"{owner.__name__} takes")
    hint = hint or f"{owner.__name__} takes none"
    return SpecError(f"{owner.__name__} has no such parameter", hint=hint, path=(word,))


_EXPECTED = {
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_long": "text of length {max_length} or less",
    "string_too_short": "text of length {min_length} or more",
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
    "string": "text",
    "tuple": "a list",
}


def _expected(error: ErrorDetails) -> str:
    """What the field accepts, in words."""
    limits = {
        name: f"{limit:g}" if isinstance(limit, float) else limit
        for name, limit in error.get("ctx", {}).items()
    }
    if (known := _EXPECTED.get(error["type"])) is not None:
        return known.format(**limits)
    if (known := _EXPECTED_TYPE.get(error["type"].split("_")[0])) is not None:
        return known
    return error["msg"].removeprefix("Input should be ")


def shown(value: Any) -> str:
    """A value as text for a message, shortened if it is long."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class NestedError(ValueError):
    """Carries a SpecError through pydantic, which keeps only ValueErrors."""

    def __init__(self, error: SpecError) -> None:
        super().__init__(error.message)
        self.error = error
