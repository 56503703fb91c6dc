"""From names to methods: the one place where a card's target is followed and a class imported."""

from __future__ import annotations

import importlib
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from invspec.errors import SpecError
from invspec.kinds import Method
from invspec.registry.cards import Kind, card, names
from invspec.registry.messages import explain


@cache
def resolve(kind: Kind, name: str) -> type[Method]:
    """The class behind a name. Imports it, so only the registry's own targets ever run."""
    target, path = card(kind, name).target, names(kind)[name]
    try:
        return _followed(kind, target, path.parents[1])
    except SpecError as problem:
        raise SpecError(
            f"target {target}: {problem.message}", where=str(path), hint=problem.hint
        ) from None


def _followed(kind: Kind, target: str, folder: Path) -> type[Method]:
    """The class that a target names, on a card of this registry's folder."""
    module, _, attribute = target.partition(":")
    if not (attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise SpecError("no target", hint="expected module:Class")
    found = getattr(_imported(module, folder), attribute, None)
    if found is None:
        raise SpecError(f"{module} has no {attribute}")
    if not (isinstance(found, type) and issubclass(found, Method) and found.kind == kind):
        raise SpecError(
            f"is no {kind}", hint=f"expected a subclass of invspec.kinds.{kind.title()}"
        )
    if lacking := sorted(getattr(found, "__abstractmethods__", ())):
        raise SpecError(f"{attribute} does not define {' and '.join(lacking)}")
    return found


def _imported(module: str, folder: Path) -> ModuleType:
    """Import a module; refuse another one of the same name as a file beside the card."""
    try:
        found = importlib.import_module(module)
    except Exception as problem:  # whatever a user's module raises
        raise SpecError(
            f"cannot be imported: {type(problem).__name__}: {problem}", hint=_raised(problem)
        ) from problem
    own = folder.joinpath(*module.split("."))
    if any(path.is_file() for path in (own.with_suffix(".py"), own / "__init__.py")):
        file = getattr(found, "__file__", None) or "a part of Python"
        if folder not in Path(file).parents:
            raise SpecError(
                f"another module is named {module} too: {file}", hint=f"rename {module} in {folder}"
            )
    return found


def _raised(problem: Exception) -> str:
    """Where an import failed, unless the module is simply not there."""
    *_, last = traceback.extract_tb(problem.__traceback__)
    return (
        ""
        if isinstance(problem, ImportError | SyntaxError)
        else f"raised in {last.filename}:{last.lineno}"
    )


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
