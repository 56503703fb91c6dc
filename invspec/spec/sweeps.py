"""Sweeps, `{sweep: [...]}` in place of a field's value, written out as methods."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from invspec.errors import SpecError, refuse
from invspec.kinds import Method
from invspec.registry import messages, methods
from invspec.registry.cards import PARTS
from invspec.spec import transforms
from invspec.spec.document import Steps
from invspec.spec.labels import Scalar
from invspec.spec.resolved import Variant
from invspec.spec.schema import Entry, Written

# Maximum number of methods of all entries together.
MAX_VARIANTS = 10_000


# one value of each sweep, by its position
Positions = tuple[int, ...]


class Sweep(NamedTuple):
    """A swept field, its path below the entry's fields, and its values."""

    path: Steps
    values: list[Any]

    @property
    def name(self) -> str:
        """The dotted name of the field."""
        return ".".join(map(str, self.path))

    def shown(self, position: int) -> str:
        """A value as text; of a method its name."""
        value = self.values[position]
        if isinstance(value, dict) and "use" in value:
            return str(cast(dict[str, Any], value)["use"])
        return value if isinstance(value, str) else messages.shown(value)


class Mistake(NamedTuple):
    """A problem with the combinations of swept values that have it."""

    problem: SpecError
    positions: list[Positions]


def size_problems(written: Written) -> Iterator[SpecError]:
    """Sweeps that are not lists, or that give too many methods together."""
    count = 0
    for part in PARTS:
        for label, entry in getattr(written, part).items():
            try:
                count += count_of(entry)
            except SpecError as problem:
                yield problem.within(part, label)
            if count > MAX_VARIANTS:
                message = f"expected at most {MAX_VARIANTS:,} methods, found {count:,} up to here"
                yield SpecError(message, hint="sweep fewer values", path=(part, label))
                return


def count_of(entry: Entry) -> int:
    """The number of methods that an entry gives. Raises: SpecError if a sweep is no list."""
    return math.prod(len(sweep.values) for sweep in _sweeps(_written(entry)))


def variants(part: str, label: str, entry: Entry) -> list[Variant]:
    """One method for each combination of swept values, the last sweep fastest.

    Raises: SpecError whose path begins below the entry. A mistake that only some of the
        combinations have says which values these have.
    """
    name, written = entry.use or label, _written(entry)
    sweeps = list(_sweeps(written))
    # once, because a module that cannot be imported is tried again by every method
    methods.resolve(PARTS[part], name)
    made: list[Variant] = []
    mistakes: dict[tuple[str, Steps], Mistake] = {}
    combinations = list(itertools.product(*(range(len(sweep.values)) for sweep in sweeps)))
    for positions in combinations:
        fields = _chosen(written, sweeps, positions)
        try:
            made.append(_variant(part, label, name, fields, sweeps))
        except SpecError as problem:
            for inner in problem.problems:
                found = _in_sweep(inner, sweeps, positions)
                mistake = mistakes.setdefault((str(found), found.path), Mistake(found, []))
                mistake.positions.append(positions)
    refuse(_with_values(mistake, sweeps, combinations) for mistake in mistakes.values())
    _refuse_duplicates(made, sweeps)
    return made


def _written(entry: Entry) -> dict[str, Any]:
    """The fields of an entry, and those of the transform of an attack's images under `before`."""
    before = {} if entry.before is None else {"before": entry.before}
    return {**entry.fields, **before}


def _variant(
    part: str, label: str, name: str, written: dict[str, Any], sweeps: Sequence[Sweep]
) -> Variant:
    """The methods of one combination of swept values. Raises: SpecError below the entry."""
    fields = {field: value for field, value in written.items() if field != "before"}
    method = methods.make(PARTS[part], name, fields)
    before = transforms.make(written["before"]) if "before" in written else None
    coords = {
        f"{label}.{sweep.name}": _coordinate(
            before if sweep.path[0] == "before" else method, written, sweep.path
        )
        for sweep in sweeps
    }
    return Variant(coords, method, before)


def _chosen(fields: dict[str, Any], sweeps: Sequence[Sweep], positions: Positions) -> Any:
    """The fields of an entry with one value for each sweep."""
    for sweep, position in zip(sweeps, positions, strict=True):
        fields = _with(fields, sweep.path, sweep.values[position])
    return fields


def _refuse_duplicates(made: Sequence[Variant], sweeps: Sequence[Sweep]) -> None:
    """Raises SpecError if two variants have the same coordinates."""
    seen: set[tuple[Scalar, ...]] = set()
    for variant in made:
        values = tuple(variant.coords.values())
        if values in seen:
            listed = ", ".join(f"{name} {value}" for name, value in variant.coords.items())
            hint = "remove one: their cells would have the same coordinates"
            message = f"duplicate value in a sweep: {listed}"
            raise SpecError(message, hint=hint, path=sweeps[-1].path)
        seen.add(values)


# ─ mistakes ───────────────────────────────────────────────────────────────────────────────────────


def _in_sweep(problem: SpecError, sweeps: Sequence[Sweep], positions: Positions) -> SpecError:
    """The same problem, located at the value of the sweep that caused it."""
    path = problem.path
    for sweep, position in zip(sweeps, positions, strict=True):
        length = len(sweep.path)
        if path[:length] == sweep.path:
            path = (*sweep.path, "sweep", position, *path[length:])
    return SpecError(problem.message, where=problem.where, hint=problem.hint, path=path)


def _with_values(
    mistake: Mistake, sweeps: Sequence[Sweep], combinations: Sequence[Positions]
) -> SpecError:
    """A mistake that says at which values of the sweeps it occurs, unless at all.

    A sweep in which the mistake is located needs no words.
    """
    problem, wrong = mistake
    located = [sweep.path == problem.path[: len(sweep.path)] for sweep in sweeps]
    alike = [
        positions
        for positions in combinations
        if all(
            place == first
            for place, first, is_here in zip(positions, wrong[0], located, strict=True)
            if is_here
        )
    ]
    if len(wrong) == len(alike):
        return problem
    others = [place for place, is_here in enumerate(located) if not is_here]
    deciding = [place for place in others if _occurring(wrong, place) != _occurring(alike, place)]
    words = (
        f"{sweeps[place].name} is {sweeps[place].shown(wrong[0][place])}"
        for place in deciding or others
    )
    message = f"{problem.message} (where {' and '.join(words)})"
    return SpecError(message, where=problem.where, hint=problem.hint, path=problem.path)


def _occurring(combinations: Sequence[Positions], place: int) -> set[int]:
    """The positions of one sweep that occur in some combinations."""
    return {positions[place] for positions in combinations}


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


def _coordinate(method: Method | None, fields: Mapping[str, Any], path: Steps) -> Scalar:
    """A swept field as a coordinate: its value or, for a method, its name in the registry.

    A path that begins with `before` goes on in the transform, which is then the method.
    """
    value, written = cast(Any, method), cast(Any, fields)
    for name in path:
        written = written[name]
        if name != "before":
            value = getattr(value, str(name), None)
    if isinstance(written, dict):
        return str(cast(dict[str, Any], written).get("use"))
    return value if isinstance(value, Scalar) else str(written if value is None else value)
