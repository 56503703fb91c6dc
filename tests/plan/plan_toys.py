"""A small spec with any of its parts replaced, and its plan."""

from __future__ import annotations

from typing import Any

from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.spec import document, resolve

BASE: dict[str, Any] = {
    "title": "toy",
    "datasets": {"fake": {}},
    "models": {"linear": {}},
    "defences": {"standard": {}},
    "attacks": {"pgd": {}, "none": {"use": "identity"}},
    "measures": {"accuracy": {"of": "pgd"}, "clean": {"use": "accuracy", "of": "none"}},
    "train": [{"dataset": "fake", "model": "linear", "defence": "standard"}],
    "checks": "none",
}


def planned(**changes: Any) -> Plan:
    return planner.plan(resolve.resolve(document.Document("x.yaml", {**BASE, **changes})))
