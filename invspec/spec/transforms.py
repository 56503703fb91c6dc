"""Transforms before an attack: `before: {use: random_rotation, max_degrees: 60}`."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from invspec.errors import SpecError
from invspec.kinds import Attack
from invspec.registry import messages, methods
from invspec.registry.cards import shipped_names


def make(written: Any) -> Attack:
    """The attack that transforms images, without a look at the model.

    Raises: SpecError whose path begins with `before`.
    """
    fields = dict(cast(dict[str, Any], written)) if isinstance(written, dict) else {}
    name = fields.pop("use", None)
    if not isinstance(name, str):
        message = f"expected {{use: name, ...fields}}, found {messages.shown(written)}"
        raise SpecError(message, path=("before",))
    try:
        methods.resolve("attack", name)
    except SpecError as problem:
        raise problem.within("before", "use") from None
    try:
        method = cast(Attack, methods.make("attack", name, fields))
    except SpecError as problem:
        raise problem.within("before") from None
    if not method.ignores_model:
        message = f"expected a transform that ignores the model, found {name}"
        raise SpecError(message, hint=f"choose {_choices()}", path=("before", "use"))
    if method.wants_target:
        message = f"expected a transform of single images, found {name}, which needs targets"
        raise SpecError(message, hint=f"choose {_choices()}", path=("before", "use"))
    return method


@cache
def names() -> list[str]:
    """The shipped attacks that ignore the model, sorted."""
    return [name for name in shipped_names("attack") if _ignores_model(name)]


def _ignores_model(name: str) -> bool:
    return cast(type[Attack], methods.resolve("attack", name)).ignores_model


def _choices() -> str:
    *most, last = names()
    return f"{', '.join(most)} or {last}"
