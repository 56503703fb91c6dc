"""A spec to change, resolved."""

from __future__ import annotations

from typing import Any

from invspec.spec import document, resolve
from invspec.spec.resolved import Spec

BASE: dict[str, Any] = {
    "title": "toy",
    "datasets": {"fake": None},
    "models": {"linear": {}},
    "defences": {"standard": {}},
    "attacks": {"pgd": {}},
    "measures": {"accuracy": {"of": "pgd"}},
    "train": [{"dataset": "fake", "model": "linear", "defence": "standard"}],
}


def resolved(**changes: Any) -> Spec:
    return resolve.resolve(document.Document("x.yaml", {**BASE, **changes}))


def variants(part: str, label: str, **changes: Any) -> list[tuple[dict[str, Any], Any]]:
    return [
        (dict(item.coords), item.method)
        for item in resolved(**changes).entries[part][label].variants
    ]
