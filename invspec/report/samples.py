"""A long table of all examples of all cells, for pandas, DuckDB or R."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from invspec.analysis.readings import Artifacts
from invspec.data import JUDGED, PAIRED, WALKED
from invspec.errors import InvspecError
from invspec.plan.cells import Plan
from invspec.report import arrow
from invspec.spec.schema import Coords
from invspec.tasks import Perturb, key

# All other judged columns are int64, those of walks bool.
FLOATS = ("confidence", "confidence_adv", "linf", "l2")


def tables(planned: Plan, store: Artifacts) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The columns, and a table for each computed attack: one row for each of its examples."""
    attacks = _attacks(planned)
    has_pairs = any(task.sample.targets is not None for task, _ in attacks)
    has_walks = any(task.attack.path_promise is not None for task, _ in attacks)
    columns = JUDGED + PAIRED * has_pairs + WALKED * has_walks
    schema = _schema([coords for _, coords in attacks], columns)
    done = ((task, coords) for task, coords in attacks if task in store)
    return schema, (_table(task, coords, store, schema) for task, coords in done)


def write(planned: Plan, store: Artifacts, path: Path, format: str) -> int:
    """Write one row per example of each computed attack. Returns the number of rows.

    format: parquet or csv. The file appears only once it is complete; where the path is a link, in
    the place that it leads to.

    Raises: InvspecError if the file cannot be written.
    """
    place = path.resolve()
    partial = place.with_name(f"{place.name}.partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            rows = stream(planned, store, file, format)
        partial.replace(place)
    except OSError as problem:
        reason = problem.strerror or problem
        hint = "choose another --output"
        raise InvspecError(f"cannot write {path}: {reason}", where="--output", hint=hint) from None
    finally:
        with suppress(OSError):
            partial.unlink()
    return rows


def stream(planned: Plan, store: Artifacts, file: BinaryIO, format: str) -> int:
    """Write the rows to an open file, attack by attack. Returns their number.

    Raises: OSError if that fails.
    """
    schema, attacks = tables(planned, store)
    make: Any = pyarrow.parquet.ParquetWriter if format == "parquet" else pyarrow.csv.CSVWriter
    rows = 0
    with make(file, schema) as writer:
        for table in attacks:
            writer.write_table(table)
            rows += len(table)
    return rows


def _attacks(planned: Plan) -> list[tuple[Perturb, Coords]]:
    """All perturb tasks with their coordinates; a task with several labels occurs once for each."""
    attacks: dict[tuple[Perturb, str], tuple[Perturb, Coords]] = {}
    for cell in planned.cells:
        # coordinates of the measure and of other attacks say nothing about an example
        others = {name for attack in cell.attacks for name in attack.coords}
        hidden = {"measure", *others, *_swept(planned, str(cell.coords["measure"]))}
        shared = {name: value for name, value in cell.coords.items() if name not in hidden}
        for attack, parts in zip(cell.attacks, cell.goal.of, strict=True):
            coords = {**shared, **attack.coords, "attack": attack.label}
            attacks |= {(part, repr(coords)): (part, coords) for part in parts}
    return list(attacks.values())


def _swept(planned: Plan, measure: str) -> set[str]:
    """The swept coordinates of a measure."""
    return set(planned.spec.entries["measures"][measure].coords)


def _schema(coords: Sequence[Coords], columns: Sequence[str]) -> pa.Schema:
    """Coordinates first, in the order of the spec, then the judged columns."""
    names = dict.fromkeys(name for cell in coords for name in cell)
    types = {name: arrow.type_of(cell.get(name) for cell in coords) for name in names}
    kinds: dict[str, pa.DataType] = {name: pa.float32() for name in FLOATS}
    kinds |= {name: pa.bool_() for name in WALKED}
    judged = {name: kinds.get(name, pa.int64()) for name in columns}
    return pa.schema([("task", pa.string()), *types.items(), *judged.items()])


def _table(task: Perturb, coords: Coords, store: Artifacts, schema: pa.Schema) -> pa.Table:
    tensors: Mapping[str, Any] = store.load(task).tensors
    n = len(tensors["index"])
    columns: list[pa.Array] = []
    for field in schema:
        if field.name in JUDGED + PAIRED + WALKED and field.name in tensors:
            columns.append(pa.array(cast(np.ndarray, tensors[field.name].numpy()), field.type))
        else:
            value = key(task) if field.name == "task" else coords.get(field.name)
            columns.append(arrow.column([value] * n, field))
    return pa.Table.from_arrays(columns, schema=schema)
