"""The rows of a score as files: rows.json, and the outcomes among the score's tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invspec.data import Interval, Outcomes, Row

IndexReader = Callable[[int], Tensor]

# prefix of the tensors that hold the outcomes of rows
ROW = "row."


def written(rows: Sequence[Row]) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Rows as rows.json holds them, and the tensors with their outcomes.

    Row i has the tensors row.i.values and row.i.index, or names the earlier row whose index it
    shares; for pairs also row.i.second.values and row.i.second.index.
    """
    bodies: list[dict[str, Any]] = []
    tensors: dict[str, Tensor] = {}
    for place, row in enumerate(rows):
        body: dict[str, Any] = {"where": dict(row.where)}
        if row.outcomes is not None:
            index = _first_with_index(rows, place, row.outcomes.index)
            if index == place:
                tensors[f"{ROW}{place}.index"] = row.outcomes.index.contiguous().clone()
            tensors[f"{ROW}{place}.values"] = row.outcomes.values.contiguous().clone()
            # JSON has no infinity: an open end is null
            ends = [end if math.isfinite(end) else None for end in row.outcomes.range]
            body |= {"level": row.level, "range": ends, "index": index}
            if (second := row.outcomes.second) is not None:
                body["second"] = True
                tensors[f"{ROW}{place}.second.index"] = second.index.contiguous().clone()
                tensors[f"{ROW}{place}.second.values"] = second.values.contiguous().clone()
        if row.interval is not None:
            body["interval"] = asdict(row.interval)
        bodies.append(body)
    return bodies, tensors


def _first_with_index(rows: Sequence[Row], place: int, index: Tensor) -> int:
    """The place of the first row with this index; `place` itself if no earlier row has it."""
    for earlier, row in enumerate(rows[:place]):
        if row.outcomes is not None and torch.equal(row.outcomes.index, index):
            return earlier
    return place


def read(json_path: Path, tensor: Callable[[str], Tensor]) -> tuple[Row, ...]:
    """The rows of a score, with its tensors by name.

    Raises: ValueError and the like if its files hold no valid rows.
    """
    bodies: list[dict[str, Any]] = json.loads(json_path.read_text(encoding="utf-8"))
    index_of = cache(lambda place: tensor(f"{ROW}{place}.index"))
    return tuple(
        Row(
            _outcomes(body, f"{ROW}{place}", tensor, index_of) if "index" in body else None,
            body.get("level"),
            Interval(**body["interval"]) if "interval" in body else None,
            body["where"],
        )
        for place, body in enumerate(bodies)
    )


def _outcomes(
    body: Mapping[str, Any], name: str, tensor: Callable[[str], Tensor], index_of: IndexReader
) -> Outcomes:
    low, high = body["range"]
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    second = None
    if body.get("second"):
        second = Outcomes(tensor(f"{name}.second.values"), tensor(f"{name}.second.index"), ends)
    return Outcomes(tensor(f"{name}.values"), index_of(body["index"]), ends, second)
