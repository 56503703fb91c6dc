"""Tables of Arrow, from which files and data frames are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

# columns that hold numbers, or nothing
NUMBERS = {"value", "low", "high"}


def table(names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Records as a table; a value that a record lacks is null, and text where types differ."""
    types = {name: type_of(record.get(name) for record in records) for name in names}
    # without any value, a number is still one
    types |= {name: pa.float64() for name in NUMBERS & set(names) if types[name] == pa.string()}
    schema = pa.schema((name, types[name]) for name in names)
    arrays = [column([record.get(field.name) for record in records], field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def type_of(values: Iterable[Any]) -> pa.DataType:
    """The type of a column: of all values that are there, text if they have none in common."""
    common: pa.DataType | None = None
    for value in values:
        if value is None:
            continue
        # bool first, because a bool is an int
        kinds = ((bool, pa.bool_()), (int, pa.int64()), (float, pa.float64()))
        own = next((to for kind, to in kinds if isinstance(value, kind)), pa.string())
        if common is None or common == own:
            common = own
        else:
            both = {common, own} <= {pa.int64(), pa.float64()}
            common = pa.float64() if both else pa.string()
    return common or pa.string()


def column(values: Sequence[Any], field: pa.Field) -> pa.Array:
    """Values in the type of a field."""
    if field.type == pa.string():
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, field.type)
