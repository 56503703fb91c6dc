"""Tasks as JSON, for workers on other machines. Reading them runs no code that they bring.

A value of pydantic's or ours becomes {"class": "module:name", "fields": {...}}, a tuple {"tuple":
[...]}, a frozenset {"set": [...]}; all else is as JSON has it.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from invspec.errors import InvspecError
from invspec.execution.channel import check_key
from invspec.registry import cards
from invspec.tasks import Examine, Perturb, Score, Task, Train, key

TASKS = {cls.__name__: cls for cls in (Train, Perturb, Score, Examine)}


def to_json(task: Task) -> str:
    """A task and all that it needs, with its key."""
    return json.dumps({"key": key(task), "task": _plain(task)})


def from_json(text: str) -> Task:
    """The task of a text that to_json wrote, perhaps in another process or on another machine.

    Raises: InvspecError if this process gives it another key, as with other data, another version
        or another registry, or does not have its methods.
    """
    body = json.loads(text)
    task = _value(body["task"])
    if not isinstance(task, Train | Perturb | Score | Examine):
        raise InvspecError(f"expected a task, found {type(task).__name__}")
    check_key(task, body["key"])
    return task


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _tagged(value, {name: getattr(value, name) for name in type(value).model_fields})
    if is_dataclass(value):
        return _tagged(value, {field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, tuple):
        items: tuple[Any, ...] = value
        return {"tuple": [_plain(item) for item in items]}
    if isinstance(value, frozenset):
        members: frozenset[Any] = value
        return {"set": [_plain(item) for item in sorted(members, key=str)]}
    if isinstance(value, list):
        listed: list[Any] = value
        return [_plain(item) for item in listed]
    if isinstance(value, dict):
        entries: dict[str, Any] = value
        return {"dict": {name: _plain(item) for name, item in entries.items()}}
    assert value is None or isinstance(value, bool | int | float | str), f"cannot send {value!r}"
    return value


def _tagged(value: Any, named: dict[str, Any]) -> dict[str, Any]:
    cls = type(value)
    name = cls.__name__ if cls.__name__ in TASKS else f"{cls.__module__}:{cls.__qualname__}"
    return {"class": name, "fields": {field: _plain(item) for field, item in named.items()}}


def _value(body: Any) -> Any:
    match body:
        case {"class": str(name), "fields": dict(named)}:
            values: dict[str, Any] = {str(field): _value(item) for field, item in named.items()}
            if name in TASKS:
                return TASKS[name](**values)
            # validated when the spec was read; a smoke run's values may be outside a field's range
            return _class(name).model_construct(**values)
        case {"tuple": list(items)}:
            return tuple(map(_value, items))
        case {"set": list(items)}:
            return frozenset(map(_value, items))
        case {"dict": dict(entries)}:
            return {name: _value(item) for name, item in entries.items()}
        case list():
            return [_value(item) for item in body]
        case _:
            return body


def _class(name: str) -> type[BaseModel]:
    """A class of invspec or of a user's folder. Raises InvspecError for any other."""
    module_name, _, qualname = name.partition(":")
    if module_name.split(".")[0] != "invspec" and not _is_users(module_name):
        raise InvspecError(
            f"no class {name} here", hint="start the worker with the --registry of the run"
        )
    try:
        value: Any = importlib.import_module(module_name)
        for part in qualname.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError):
        raise InvspecError(
            f"no class {name} here", hint="expected the version of invspec that the run has"
        ) from None
    if not (isinstance(value, type) and issubclass(value, BaseModel)):
        raise InvspecError(f"{name} is not a method")
    return value


def _is_users(module_name: str) -> bool:
    """Whether a module lies in a folder given by --registry."""
    relative = Path(*module_name.split("."))
    return any(
        (folder / relative).with_suffix(".py").is_file() or (folder / relative).is_dir()
        for folder in cards.added()
    )
