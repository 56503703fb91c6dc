"""From names to methods: the one place that follows a card's target and imports a class."""

from __future__ import annotations

import importlib
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import PydanticUserError, ValidationError

from invspec import imports
from invspec.errors import SpecError, refuse
from invspec.kinds import Dataset, Method
from invspec.registry import own_code
from invspec.registry.cards import Kind, card, names, shipped_card, shipped_path, with_article
from invspec.registry.messages import explain
from invspec.registry.renames import refuse_old_names, unannotated


def make(kind: Kind, name: str, params: dict[str, Any]) -> Method:
    """The method of this name with these parameters.

    Raises: SpecError whose path points to the wrong parameter.
    """
    cls, defaults = resolve(kind, name), card(kind, name).params
    try:
        return cls.model_validate({**defaults, **params})
    except ValidationError as problem:
        wrong = explain(problem, cls, {**defaults, **params})
    # a validator of a user's class can raise anything
    except Exception as problem:
        if not (line := own_code.place(problem)):
            raise
        message = f"{cls.__name__} raised {own_code.said(problem)}"
        raise SpecError(message, hint=f"raised in {line}") from problem
    from_card = set(defaults) - set(params)
    refuse(
        _at_card(kind, name, problem) if set(problem.path[:1]) & from_card else problem
        for problem in wrong
    )
    raise AssertionError("a ValidationError without errors")


def make_shipped(kind: Kind, name: str, params: dict[str, Any]) -> Method:
    """The method that ships under this name with these parameters, which must be right.

    A user's card of the same name does not change it: defaults of shipped methods are theirs.
    """
    return resolve_shipped(kind, name).model_validate({**shipped_card(kind, name).params, **params})


@cache
def resolve_shipped(kind: Kind, name: str) -> type[Method]:
    """The class that ships under this name."""
    return _class_at(kind, shipped_card(kind, name).target, shipped_path(kind, name).parents[1])


def _at_card(kind: Kind, name: str, problem: SpecError) -> SpecError:
    """The same problem, located in the parameters of a card."""
    where = f"{names(kind)[name]}: params.{'.'.join(map(str, problem.path))}"
    return SpecError(problem.message, where=where, hint=problem.hint)


def smoke(method: Method) -> Method:
    """The cheapest version of a method that runs all its code; for a data set, its stand-in."""
    if isinstance(method, Dataset):
        return make("dataset", *method.stand_in)
    return method.smoke()


@cache
def resolve(kind: Kind, name: str) -> type[Method]:
    """The class behind a name. Imports it; only modules named on cards are ever imported.

    Raises: SpecError if the card's target is not a class of this kind.
    """
    target, path = card(kind, name).target, names(kind)[name]
    try:
        return _class_at(kind, target, path.parents[1])
    except SpecError as problem:
        message = f"target {target}: {problem.message}"
        raise SpecError(message, where=str(path), hint=problem.hint) from None


def _class_at(kind: Kind, target: str, folder: Path) -> type[Method]:
    """The class named by the target of a card in this registry folder."""
    module, _, attribute = target.partition(":")
    if not (attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise SpecError("not of the form module:Class", hint="like invspec.attacks.pgd:PGD")
    cls = getattr(_imported(module, folder), attribute, None)
    if cls is None:
        raise SpecError(f"{module} has no {attribute}", hint="expected module:Class")
    wanted = f"expected a subclass of invspec.kinds.{kind.title()}"
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise SpecError(f"not {with_article(kind)}", hint=wanted)
    if cls.kind != kind:
        message = f"expected {with_article(kind)}, found {with_article(cls.kind)}"
        raise SpecError(message, hint=wanted)
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        message = f"{attribute} does not define {' and '.join(missing)}"
        raise SpecError(message, hint=f"every {kind} needs it")
    refuse_old_names(cls)
    for name, path in imports.behind(cls).items():
        _refuse_hidden(name, str(path), folder)
    return cls


def _imported(module: str, folder: Path) -> ModuleType:
    """Import a module. Refuses a module from elsewhere that hides a file beside the card."""
    try:
        imported = importlib.import_module(module)
    except PydanticUserError as problem:
        raise unannotated(problem) from problem
    # a user's module can raise anything, and end the program
    except (Exception, SystemExit) as problem:
        message = f"cannot be imported: {type(problem).__name__}: {problem}"
        raise SpecError(message, hint=_raised_at(problem)) from problem
    _refuse_hidden(module, getattr(imported, "__file__", None) or "a part of Python", folder)
    return imported


def _refuse_hidden(module: str, file: str, folder: Path) -> None:
    """Refuse a module from elsewhere that hides the one of its name in a user's folder."""
    own = folder.joinpath(*module.split("."))
    there = any(path.is_file() for path in (own.with_suffix(".py"), own / "__init__.py"))
    if there and folder not in Path(file).parents:
        message = f"another module is also named {module}: {file}"
        raise SpecError(message, hint=f"rename {module} in {folder}")


def _raised_at(problem: BaseException) -> str:
    """Where an import failed, unless the module is missing or not Python."""
    if isinstance(problem, ModuleNotFoundError):
        return "expected an installed module or one in the folder of the registry"
    if isinstance(problem, ImportError | SyntaxError):
        return ""
    *_, last = traceback.extract_tb(problem.__traceback__)
    return f"raised in {own_code.place(problem) or f'{last.filename}:{last.lineno}'}"
