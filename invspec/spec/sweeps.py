"""Sweeps, `{sweep: [...]}` in place of a field's value, written out as methods."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from invspec.errors import SpecError, SpecErrors
from invspec.kinds import Method
from invspec.registry import messages, methods
from invspec.spec.document import Steps
from invspec.spec.labels import PARTS, Scalar
from invspec.spec.resolved import Variant
from invspec.spec.schema import Entry, Written

# Maximum number of methods of all entries together.
MAX_VARIANTS = 10_000


class Sweep(NamedTuple):
    """A swept field, its path below the entry's fields, and its values."""

    path: Steps
    values: list[Any]


def size_problems(written: Written) -> Iterator[SpecError]:
    """Sweeps that are not lists, or that give too many methods together."""
    count = 0
    for part in PARTS:
        for label, entry in getattr(written, part).items():
            try:
                count += math.prod(len(sweep.values) for sweep in _sweeps(entry.fields))
            except SpecError as problem:
                yield problem.within(part, label)
            if count > MAX_VARIANTS:
                message = f"expected at most {MAX_VARIANTS:,} methods, found {count:,} up to here"
                yield SpecError(message, hint="sweep fewer values", path=(part, label))
                return


def variants(part: str, label: str, entry: Entry) -> Iterator[Variant]:
    """One method for each combination of swept values, the last sweep fastest.

    Raises: SpecError whose path begins below the entry.
    """
    sweeps = list(_sweeps(entry.fields))
    seen: set[tuple[Scalar, ...]] = set()
    for positions in itertools.product(*(range(len(sweep.values)) for sweep in sweeps)):
        fields = entry.fields
        for sweep, position in zip(sweeps, positions, strict=True):
            fields = _with(fields, sweep.path, sweep.values[position])
        try:
            method = methods.make(PARTS[part], entry.use or label, fields)
        except SpecError as problem:
            wrong = (_in_sweep(part, sweeps, positions) for part in problem.problems)
            raise SpecErrors(wrong) from None
        coords = {
            f"{label}.{'.'.join(map(str, sweep.path))}": _coordinate(method, fields, sweep.path)
            for sweep in sweeps
        }
        if tuple(coords.values()) in seen:
            listed = ", ".join(f"{name} {value}" for name, value in coords.items())
            hint = "remove one: their cells would have the same coordinates"
            raise SpecError(
                f"duplicate value in a sweep: {listed}", hint=hint, path=sweeps[-1].path
            )
        seen.add(tuple(coords.values()))
        yield Variant(coords, method)


def _in_sweep(problem: SpecError, sweeps: list[Sweep], positions: Sequence[int]) -> SpecError:
    """The same problem, located at the value of the sweep that caused it."""
    path = problem.path
    for sweep, position in zip(sweeps, positions, strict=True):
        length = len(sweep.path)
        if path[:length] == sweep.path:
            path = (*sweep.path, "sweep", position, *path[length:])
    return SpecError(problem.message, where=problem.where, hint=problem.hint, path=path)


def _sweeps(value: Any, path: Steps = ()) -> Iterator[Sweep]:
    """Every {sweep: [...]} in the fields of an entry."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if "sweep" in fields:
            yield Sweep(path, _values(fields, path))
            return
        for name, item in fields.items():
            yield from _sweeps(item, (*path, name))


def _values(fields: dict[str, Any], path: Steps) -> list[Any]:
    if len(fields) > 1 or not path:
        message = "a sweep must replace the value of one field"
        raise SpecError(message, hint="write field: {sweep: [...]}", path=path)
    values = fields["sweep"]
    if not isinstance(values, list) or not values:
        message = f"expected a list of at least one value, found {messages.shown(values)}"
        raise SpecError(message, path=(*path, "sweep"))
    return cast(list[Any], values)


def _with(fields: dict[str, Any], path: Steps, value: Any) -> dict[str, Any]:
    """A copy of nested fields with the value at path replaced."""
    first = cast(str, path[0])
    return {**fields, first: value if len(path) == 1 else _with(fields[first], path[1:], value)}


def _coordinate(method: Method, fields: Mapping[str, Any], path: Steps) -> Scalar:
    """A swept field as a coordinate: its value or, for a method, its name in the registry."""
    value, written = cast(Any, method), cast(Any, fields)
    for name in path:
        value, written = getattr(value, str(name), None), written[name]
    if isinstance(written, dict):
        return str(cast(dict[str, Any], written).get("use"))
    return value if isinstance(value, Scalar) else str(written if value is None else value)
