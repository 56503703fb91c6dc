"""Tasks from the texts in the store: task.json holds methods as their identities, inputs as keys.

Classes are found by the cards of the registry, so that no text can name other code.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import ValidationError

from invspec.errors import InvspecError, SpecError
from invspec.execution.store import Store
from invspec.kinds import Method, Sample, plain
from invspec.registry import cards
from invspec.registry.cards import Kind, card, names
from invspec.registry.methods import resolve
from invspec.tasks import Examine, Perturb, Score, Task, Train, key

TASKS: dict[str, type[Task]] = {cls.__name__: cls for cls in (Train, Perturb, Score, Examine)}


class Unknown(InvspecError):
    """A task that this process cannot rebuild: other code made it, or a part is missing."""


class Rebuilder:
    """Rebuilds the tasks of a store; each once, as many share their inputs.

    With any_version, also those that another version of a method or of the machinery made.
    """

    def __init__(self, store: Store, *, any_version: bool = False) -> None:
        self.store, self.any_version = store, any_version
        self._tasks: dict[str, Task] = {}

    def task(self, kind: str, digest: str) -> Task:
        """The task of a verb and a key.

        Raises: Unknown if a text is missing, or if its task has another key here.
        """
        if digest not in self._tasks:
            self._tasks[digest] = self._read(kind, digest)
        return self._tasks[digest]

    def _read(self, kind: str, digest: str) -> Task:
        try:
            body: dict[str, Any] = json.loads(text_of(self.store, kind, digest))
            cls = TASKS[body["task"]]
            values = {
                field.name: self._value(str(field.type), body[field.name])
                for field in fields(cls)
                if field.name in body
            }
            task = cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as problem:
            raise Unknown(f"{kind} {digest[:12]} cannot be read: {problem!r}") from None
        if not self.any_version and key(task) != digest:
            raise Unknown("its code, its data or a version has changed since it was made")
        return task

    def _value(self, annotation: str, value: Any) -> Any:
        """The value of a task's field, by its annotation."""
        match value:
            case {"class": str(), "fields": dict()}:
                return _method(value)
            case dict():
                return Sample.model_validate(value)
            case list():
                return tuple(self._value(annotation, item) for item in value)
            case str() if kinds := [name.lower() for name in TASKS if name in annotation]:
                present = (kind for kind in kinds if self.store.at(kind, value).is_dir())
                kind = next(present, None)
                if kind is None:
                    raise Unknown(f"its input {kinds[0]} {value[:12]} is not in the store")
                return self.task(kind, value)
            case _:
                return value


def text_of(store: Store, kind: str, digest: str) -> str:
    """The text that was hashed to a key. Raises OSError or ValueError if it cannot be read."""
    return (store.at(kind, digest) / "task.json").read_text(encoding="utf-8")


def _method(identity: dict[str, Any]) -> Method:
    """A method from its identity. Raises Unknown if there is none of its class here."""
    kind, _, qualname = identity["class"].partition(":")
    cls = _class_of(kind, qualname, identity.get("module"))
    given = {name: _plain_value(value) for name, value in identity["fields"].items()}
    # keys leave None out, so that a field that is missing may be None or new
    missing = dict.fromkeys(set(cls.model_fields) - set(given))
    for values in (given, {**missing, **given}):
        # a smoke run's values may be outside a field's range
        with suppress(ValidationError):
            method = cls.model_validate(values, by_name=True)
            if _without_none(plain(method)["fields"]) == identity["fields"]:
                return method
    raise Unknown(f"{qualname} does not take the fields that it was made with")


def _plain_value(value: Any) -> Any:
    match value:
        case {"class": str(), "fields": dict()}:
            return _method(value)
        case dict():
            return {name: _plain_value(item) for name, item in value.items()}
        case list():
            return [_plain_value(item) for item in value]
        case _:
            return value


def _without_none(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_none(item) for name, item in value.items() if item is not None}
        case list():
            return [_without_none(item) for item in value]
        case _:
            return value


def _class_of(kind: str, qualname: str, module: str | None) -> type[Method]:
    """The class of a card. Those of invspec are told by their names, others by their modules."""
    if kind in cards.KINDS:
        for cls in _classes(kind, cards.added()):
            own = None if cls.__module__.split(".")[0] == "invspec" else cls.__module__
            if (cls.__qualname__, own) == (qualname, module):
                return cls
    hint = "give its folder with --registry" if module else ""
    raise Unknown(f"no card has the class {module or 'invspec'}:{qualname}", hint=hint)


@cache
def _classes(kind: Kind, folders: tuple[object, ...]) -> list[type[Method]]:
    """The classes of all cards of a kind, that of each target once."""
    targets = {card(kind, name).target: name for name in names(kind)}
    classes: list[type[Method]] = []
    for name in targets.values():
        # a broken card is none of our business
        with suppress(SpecError):
            classes.append(resolve(kind, name))
    return classes
