"""Descriptions of methods: those that ship from the catalogue, users' own from their classes."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import SpecError, refuse
from invspec.registry import cards, catalogue
from invspec.registry.cards import KINDS, Kind
from invspec.registry.catalogue import Description, Descriptions


def of(kind: Kind, name: str) -> Description:
    """The description of a method. Only one of a user's own imports its class.

    Raises: SpecError if there is no such method, or its card or class is wrong.
    """
    if (shipped := catalogue.find(kind, name)) is not None:
        return shipped
    from invspec.registry import own_code
    from invspec.registry.describe import describe

    with own_code.explained():
        return describe(kind, name)


def every() -> Descriptions:
    """The descriptions of all methods. Raises: SpecErrors for all that cannot be described."""
    described: dict[Kind, dict[str, Description]] = {kind: {} for kind in KINDS}

    def problems() -> Iterator[SpecError]:
        for kind in KINDS:
            for name in cards.names(kind):
                try:
                    described[kind][name] = of(kind, name)
                except SpecError as problem:
                    yield problem

    refuse(problems())
    return described
