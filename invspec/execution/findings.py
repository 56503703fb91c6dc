"""The finding of a check as a file, finding.json."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from invspec.data import Finding, Interval


def write(path: Path, finding: Finding) -> None:
    """Write a finding. Numbers that JSON does not have become text: "inf", "nan"."""
    path.write_text(json.dumps(_as_text(asdict(finding)), indent=1, allow_nan=False) + "\n")


def read(path: Path) -> Finding:
    """The finding in a file. Raises ValueError and the like if it holds none."""
    body: dict[str, Any] = json.loads(path.read_text())
    measured = body["measured"]
    value, low, high = (float(measured[name]) for name in ("value", "low", "high"))
    survivors = body["survivors"]
    return Finding(
        body["status"],
        Interval(value, low, high, int(measured["n"])),
        float(body["threshold"]),
        str(body["reason"]),
        str(body["hint"]),
        None if survivors is None else float(survivors),
    )


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _as_text(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
