"""The name of the card that describes a method best, for methods that come without a label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, cast

from invspec.errors import SpecError
from invspec.kinds import Method
from invspec.registry import cards
from invspec.registry.cards import Kind
from invspec.registry.methods import resolve


def nickname(method: Method) -> str:
    """The card of a method's class with the most parameters that the method has; else its class."""
    fitting = [
        (len(params), -len(name), name)
        for name, params in _cards(cast(Kind, method.kind), type(method))
        if all(_has(method, field, value) for field, value in params.items())
    ]
    return max(fitting)[2] if fitting else type(method).__name__


@cache
def _cards(kind: Kind, cls: type[Method]) -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple(_cards_of(kind, cls))


def _cards_of(kind: Kind, cls: type[Method]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in cards.names(kind):
        # a broken card is none of our business
        with suppress(SpecError):
            if resolve(kind, name) is cls:
                yield name, dict(cards.card(kind, name).params)


def _has(method: Method, field: str, value: Any) -> bool:
    """Whether a method has a value that a card sets; one that is a method, by its fields."""
    own = getattr(method, field, None)
    if isinstance(own, Method) and isinstance(value, dict):
        inner = {name: item for name, item in value.items() if name != "use"}
        return all(_has(own, name, item) for name, item in inner.items())
    return own == value or (isinstance(value, list) and own == tuple(value))
