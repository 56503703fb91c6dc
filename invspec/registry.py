"""From names to methods: the one place where a card's target is followed and a class imported."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from invspec import kinds
from invspec.cards import Kind, card, names
from invspec.errors import SpecError, suggest
from invspec.kinds import Attack, Method


@cache
def resolve(kind: Kind, name: str) -> type[Method]:
    """The class behind a name. Imports it, so only the registry's own targets ever run."""
    where, target = str(names(kind)[name]), card(kind, name).target
    module, _, attribute = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as problem:
        raise SpecError(f"target {target}: {problem}", where=where, hint="expected module:Class") from None
    except AttributeError:
        raise SpecError(f"target {target}: {module} has no {attribute}", where=where) from None
    if not (isinstance(found, type) and issubclass(found, kinds.Method) and found.kind == kind):
        raise SpecError(
            f"target {target} is not a {kind}", where=where, hint=f"expected a subclass of kinds.{kind.title()}"
        )
    return found


def make(kind: Kind, name: str, params: dict[str, Any]) -> Method:
    """The method of that name with these parameters. Raises SpecError, its path pointing at the parameter."""
    method = resolve(kind, name)
    try:
        return method.model_validate({**card(kind, name).params, **params})
    except ValidationError as problem:
        raise explain(problem, method) from None


def explain(problem: ValidationError, model: type[BaseModel] | None = None) -> SpecError:
    """pydantic's first complaint in the words of a spec: what was found, what was expected, a hint."""
    first = problem.errors(include_url=False)[0]
    nested = first.get("ctx", {}).get("error")
    path = tuple(first["loc"])
    if isinstance(nested, _Nested):
        return nested.error.within(*path)
    if first["type"] == "extra_forbidden":
        known = list(model.model_fields) if model and len(path) == 1 else []
        noun = f"{model.__name__} takes" if model else ""
        owner = model.__name__ if model else "this part"
        return SpecError(f"{owner} has no such parameter", hint=suggest(str(path[-1]), known, noun), path=path)
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    found = first["input"]
    shown = "" if first["type"] in ("missing", "value_error") else f", found {_shown(found)}"
    return SpecError(message + shown, path=path)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Nested(ValueError):
    """Carries a SpecError through pydantic, which keeps only ValueErrors."""

    def __init__(self, error: SpecError) -> None:
        super().__init__(error.message)
        self.error = error


def _nested(kind: Kind) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        params = dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if "use" not in params:
            raise ValueError(f"expected {{use: name, ...}}, found {_shown(value)}")  # pyright: ignore[reportUnknownArgumentType]
        try:
            return make(kind, str(params.pop("use")), params)
        except SpecError as problem:
            raise _Nested(problem) from None

    return BeforeValidator(read)


if TYPE_CHECKING:
    AttackField = Attack
else:
    AttackField = Annotated[Attack, _nested("attack")]  # in a spec: {use: pgd, eps: 0.3}
