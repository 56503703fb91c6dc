"""Units of fields, in their annotations: `eps: Pixels`, or `Annotated[float, Unit("nats")]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Unit:
    """The unit of a field, as lists, tables and axes show it."""

    name: str


def annotated_unit(field: FieldInfo) -> str:
    """The unit in a field's annotation, which may be optional; empty if there is none."""
    return next((unit.name for unit in _units([field.annotation, *field.metadata])), "")


def _units(parts: list[Any]) -> Iterator[Unit]:
    for part in parts:
        if isinstance(part, Unit):
            yield part
        else:
            # the unit may be nested deeper, as in Annotated[float, Unit(...)] | None
            yield from _units(list(get_args(part)))
