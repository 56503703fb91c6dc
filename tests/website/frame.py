"""A small spec into which a part of a spec is put, so that the planner can judge the part."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

FRAME: dict[str, Any] = {
    "title": "a part in its frame",
    "datasets": {"digits": {}},
    "models": {"stdcnn": {}, "lenet": {}},
    "defences": {"standard": {}},
    "attacks": {"clean": {"use": "identity"}, "pgd": {"eps": 0.1}},
    "measures": {"accuracy": {"of": "clean"}},
    "train": [{"dataset": "digits", "model": ["stdcnn", "lenet"], "defence": "standard"}],
}
TRAINED = {"datasets": "dataset", "models": "model", "defences": "defence"}


def framed(part: Mapping[str, Any]) -> dict[str, Any]:
    """A whole spec with this part: new nets are trained, new attacks are measured.

    A part that gives `train` says itself what is trained.
    """
    if "extends" in part:
        return dict(part)
    spec = deepcopy(FRAME)
    for key, value in part.items():
        spec[key] = {**spec[key], **value} if isinstance(spec.get(key), dict) else value
    read = str(spec["measures"])
    for attack in part.get("attacks", {}):
        if f"'{attack}'" not in read:
            spec["measures"][f"accuracy_{attack}"] = {"use": "accuracy", "of": attack}
    if "train" not in part:
        first = spec["train"][0]
        spec["train"] += [
            {**first, field: label}
            for name, field in TRAINED.items()
            for label in part.get(name, {})
            if label not in FRAME[name]
        ]
    return spec
