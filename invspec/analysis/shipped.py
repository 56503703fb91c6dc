"""Times that ship with invspec: what tasks took on the machines of its authors, for a first run.

benchmarks/shipped_times.py makes the file.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from invspec.analysis.likeness import Likeness

FILE = Path(__file__).with_name("times.json")
# the name under which they stand beside the devices of a store
DEVICE = "cpu (shipped times)"


def rate(likeness: Likeness) -> float | None:
    """Seconds per amount of work of tasks on a processor; None if none has this likeness."""
    return _rates().get(digest(likeness))


def digest(likeness: Likeness) -> str:
    """A likeness in the file: 12 hex digits."""
    return hashlib.sha256(json.dumps(likeness).encode()).hexdigest()[:12]


def read() -> dict[str, Any]:
    """By the name of each report its processors, and the rates of its tasks by their digests."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def processors() -> list[str]:
    """The models of processors on which they were measured."""
    return sorted({name for report in read().values() for name in report["processors"]})


@cache
def _rates() -> dict[str, float]:
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for report in read().values():
        for name, value in report["rates"].items():
            rates[name].append(value)
    return {name: statistics.median(values) for name, values in rates.items()}
