"""From names to methods: the one place where a card's target is followed and a class imported."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from invspec.cards import Kind, card, names
from invspec.errors import SpecError, suggest
from invspec.kinds import Attack, Method, Model


@cache
def resolve(kind: Kind, name: str) -> type[Method]:
    """The class behind a name. Imports it, so only the registry's own targets ever run."""
    target, path = card(kind, name).target, names(kind)[name]
    try:
        return _followed(kind, target, path.parents[1])
    except SpecError as problem:
        raise SpecError(f"target {target}: {problem.message}", where=str(path), hint=problem.hint) from None


def _followed(kind: Kind, target: str, folder: Path) -> type[Method]:
    """The class that a target names, on a card of this registry's folder."""
    module, _, attribute = target.partition(":")
    if not (attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise SpecError("no target", hint="expected module:Class")
    found = getattr(_imported(module, folder), attribute, None)
    if found is None:
        raise SpecError(f"{module} has no {attribute}")
    if not (isinstance(found, type) and issubclass(found, Method) and found.kind == kind):
        raise SpecError(f"is no {kind}", hint=f"expected a subclass of invspec.kinds.{kind.title()}")
    if lacking := sorted(getattr(found, "__abstractmethods__", ())):
        raise SpecError(f"{attribute} does not define {' and '.join(lacking)}")
    return found


def _imported(module: str, folder: Path) -> ModuleType:
    """Import a module; refuse another one of the same name as a file beside the card."""
    try:
        found = importlib.import_module(module)
    except Exception as problem:  # whatever a user's module raises
        raise SpecError(f"cannot be imported: {type(problem).__name__}: {problem}", hint=_raised(problem)) from problem
    own = folder.joinpath(*module.split("."))
    if any(path.is_file() for path in (own.with_suffix(".py"), own / "__init__.py")):
        file = getattr(found, "__file__", None) or "a part of Python"
        if folder not in Path(file).parents:
            raise SpecError(f"another module is named {module} too: {file}", hint=f"rename {module} in {folder}")
    return found


def _raised(problem: Exception) -> str:
    """Where an import failed, unless the module is simply not there."""
    *_, last = traceback.extract_tb(problem.__traceback__)
    return "" if isinstance(problem, ImportError | SyntaxError) else f"raised in {last.filename}:{last.lineno}"


def make(kind: Kind, name: str, params: dict[str, Any]) -> Method:
    """The method of that name with these parameters. Raises SpecError, its path pointing at the parameter."""
    method, own = resolve(kind, name), card(kind, name).params
    try:
        return method.model_validate({**own, **params})
    except ValidationError as problem:
        found = explain(problem, method, {**own, **params})
        if set(found.path[:1]) & (set(own) - set(params)):  # the card's own settings are wrong
            where = f"{names(kind)[name]}: params.{'.'.join(map(str, found.path))}"
            raise SpecError(found.message, where=where, hint=found.hint) from None
        raise found from None


def explain(problem: ValidationError, model: type[BaseModel], given: Mapping[str, Any]) -> SpecError:
    """pydantic's first complaint about what was given, in the words of a spec: found, expected, a hint."""
    errors = problem.errors(include_url=False)
    first = _clearest(errors)
    path = _as_written(first["loc"], given)
    nested = first.get("ctx", {}).get("error")
    if isinstance(nested, _Nested):
        return nested.error.within(*path)
    if first["type"] == "missing":
        return SpecError("is missing", path=(*path, first["loc"][-1]))
    if first["type"] == "extra_forbidden":
        return _unknown(str(path[-1]), _owner(model, path[:-1])).within(*path[:-1])
    if first["type"] == "value_error":
        return SpecError(str(nested), path=path)
    same = [one for one in errors if one["input"] is first["input"] and one["type"] != "value_error"]
    beside = [one for one in same if _as_written(one["loc"], given) == path]
    expected = " or ".join(dict.fromkeys(map(_expected, beside)))  # one for each choice of a union
    return SpecError(f"expected {expected}, found {shown(first['input'])}", path=path)


def _clearest(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The first error, or the misspelt key that explains why another one is missing."""
    first = errors[0]
    beside = [one for one in errors if one["type"] == "extra_forbidden" and one["loc"][:-1] == first["loc"][:-1]]
    return beside[0] if beside and first["type"] == "missing" else first


def _as_written(path: Iterable[str | int], given: Any) -> tuple[str | int, ...]:
    """A path without the steps that pydantic adds for unions and validators: those that what was given has."""
    kept: list[str | int] = []
    for step in path:
        inside = cast(Mapping[Any, Any], given if isinstance(given, dict) else dict(enumerate(_items(given))))
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
    limits = {name: f"{x:g}" if isinstance(x, float) else x for name, x in error.get("ctx", {}).items()}
    if (known := _EXPECTED.get(error["type"])) is not None:
        return known.format(**limits)
    if (known := _EXPECTED_TYPE.get(error["type"].split("_")[0])) is not None:
        return known
    return error["msg"].removeprefix("Input should be ")


def shown(value: Any) -> str:
    """A value as a message has it, cut where it is long."""
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Nested(ValueError):
    """Carries a SpecError through pydantic, which keeps only ValueErrors."""

    def __init__(self, error: SpecError) -> None:
        super().__init__(error.message)
        self.error = error


def _nested(kind: Kind) -> BeforeValidator:
    def read(value: Any) -> Any:
        if isinstance(value, Method):
            return value
        params = dict(cast(dict[str, Any], value)) if isinstance(value, dict) else {}
        name = params.pop("use", None)
        if not isinstance(name, str):
            raise ValueError(f"expected {{use: name, ...its fields}}, found {shown(value)}")
        try:
            return make(kind, name, params)
        except SpecError as problem:
            raise _Nested(problem) from None

    return BeforeValidator(read)


if TYPE_CHECKING:
    AttackField = Attack
    ModelField = Model
else:
    AttackField = Annotated[Attack, _nested("attack")]  # in a spec: {use: pgd, eps: 0.3}
    ModelField = Annotated[Model, _nested("model")]
