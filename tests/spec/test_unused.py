"""Entries of extended files that nothing uses."""

from __future__ import annotations

from typing import Any

from invspec.spec.document import Document
from invspec.spec.unused import without_unused

VALUES: dict[str, Any] = {
    "datasets": {"fake": {}, "other": {}},
    "models": {"linear": {}, "lenet": {}, "oracle": {}},
    "defences": {"standard": {}, "madry": {}, "trades": {}},
    "attacks": {"pgd": {}, "moved": {"from": {"model": "lenet", "defence": "madry"}}},
    "measures": {
        "accuracy": {"of": "pgd"},
        "label": {"of": ["pgd"], "oracle": {"model": "oracle"}},
    },
    "train": [{"dataset": "fake", "model": ["linear"], "defence": "standard"}],
    "scales": {"laptop": {"defences.madry.epochs": 1, "defences.standard.epochs": 2, "seeds": [1]}},
}
ALL = frozenset((part, label) for part in list(VALUES)[:5] for label in VALUES[part])


def test_what_no_line_and_no_other_entry_names_is_left_out() -> None:
    left = without_unused(Document("x.yaml", VALUES, inherited=ALL)).values
    assert {part: list(left[part]) for part in list(VALUES)[:5]} == {
        "datasets": ["fake"],
        "models": ["linear", "oracle"],
        # the attack that named the others is itself not used
        "defences": ["standard"],
        "attacks": ["pgd"],
        "measures": ["accuracy", "label"],
    }
    assert left["scales"] == {"laptop": {"defences.standard.epochs": 2, "seeds": [1]}}
    assert left["train"] == VALUES["train"]


def test_what_the_spec_itself_has_stays() -> None:
    source = Document("x.yaml", VALUES)
    assert without_unused(source) is source
    some = without_unused(Document("x.yaml", VALUES, inherited=frozenset({("models", "lenet")})))
    # its attack `moved` names it
    assert some.values == VALUES


def test_odd_values_are_left_to_the_schema() -> None:
    for odd in (None, [], {"train": 1, "attacks": 2, "scales": [3]}, {"scales": {"a": 1}}):
        source = Document("x.yaml", odd, inherited=frozenset({("models", "lenet")}))
        assert without_unused(source).values == odd
