"""A side of a comparison from a plan and the folder of a store."""

from __future__ import annotations

from invspec.analysis.sides import Side
from invspec.analysis.snapshot import Snapshot
from invspec.execution.earlier import AnyVersion
from invspec.execution.store import Store
from invspec.plan.cells import Plan


def side(plan: Plan, store: Store) -> Side:
    """A study with what its store holds, where it lacks something also from another version."""
    if all(goal in store for goal in plan.goals):
        return Side(plan, Snapshot(store), store.digest)
    wider = AnyVersion(store.root)
    others = sum(task not in store and task in wider for task in plan.tasks)
    return Side(plan, Snapshot(wider), wider.digest, others)
