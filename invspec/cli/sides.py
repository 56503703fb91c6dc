"""A side of a comparison from a plan and the folder of a store."""

from __future__ import annotations

from invspec.analysis.sides import Side
from invspec.analysis.snapshot import Snapshot
from invspec.execution.store import Store
from invspec.plan.cells import Plan


def side(plan: Plan, store: Store) -> Side:
    """A study with what its store holds."""
    return Side(plan, Snapshot(store), store.digest)
