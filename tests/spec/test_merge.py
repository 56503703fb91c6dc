"""The values of one file over those of another."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from invspec.spec import document
from invspec.spec.merge import merged, size


def lay(below: str, above: str) -> document.Document:
    return merged(document.parse(below, "below.yaml"), document.parse(above, "above.yaml"))


@pytest.mark.parametrize(
    ("below", "above", "wanted"),
    [
        ("{a: 1}", "{b: 2}", {"a": 1, "b": 2}),
        ("{a: {b: 1, c: 2}}", "{a: {c: 3}}", {"a": {"b": 1, "c": 3}}),
        ("{a: [1, 2, 3]}", "{a: [4]}", {"a": [4]}),
        ("{a: {b: 1}}", "{a: 2}", {"a": 2}),
        ("{a: {b: 1}}", "{a: null}", {"a": None}),
        ("{a: 2}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: {b: 1}}", "{a: {}}", {"a": {"b": 1}}),
    ],
)
def test_mappings_merge_and_all_else_is_replaced(below: str, above: str, wanted: Any) -> None:
    assert lay(below, above).values == wanted


def test_another_method_replaces_an_entry_with_its_fields() -> None:
    below = "defences: {a: {use: standard, epochs: 9, attack: {use: pgd, steps: 3}}}"
    same = lay(below, "defences: {a: {epochs: 2, attack: {use: apgd, eps: 0.1}}}")
    assert same.values["defences"]["a"] == {
        "use": "standard",
        "epochs": 2,
        "attack": {"use": "apgd", "eps": 0.1},
    }
    other = lay(below, "defences: {a: {use: trades}}")
    assert other.values["defences"]["a"] == {"use": "trades"}
    assert not [path for path in other.places if "epochs" in path]


def test_the_method_of_an_entry_without_use_is_its_label() -> None:
    below = "attacks: {pgd: {eps: 0.1, steps: 9}}\nchecks: {alive: {threshold: 1}}"
    other = lay(below, "attacks: {pgd: {use: fgsm}}\nchecks: {alive: {use: silent}}")
    assert other.values == {
        "attacks": {"pgd": {"use": "fgsm"}},
        "checks": {"alive": {"use": "silent"}},
    }
    same = lay(below, "attacks: {pgd: {use: pgd, eps: 0.2}}")
    assert same.values["attacks"] == {"pgd": {"use": "pgd", "eps": 0.2, "steps": 9}}


def test_every_value_keeps_the_place_where_it_was_written() -> None:
    both = lay("a: {b: 1,\n c: 2}\nd: [1,\n 2]\n", "\na: {c: 3}\nd:\n- 7")
    assert both.place(("a", "b")) == "below.yaml:1"
    assert both.place(("a", "c")) == "above.yaml:2"
    assert both.place(("d", 0)) == "above.yaml:4"
    # the second item of the list below is gone
    assert both.place(("d", 1)) == "above.yaml:3"
    assert both.name == "above.yaml"


def test_a_scale_applies_what_the_file_above_changes_last() -> None:
    below = "scales: {small: {defences.a.epochs: 1, defences.a: {epochs: 2}, seeds: [0]}}"
    both = lay(below, "scales: {small: {defences.a.epochs: 5}, large: {seeds: [1]}}")
    assert list(both.values["scales"]["small"].items()) == [
        ("defences.a", {"epochs": 2}),
        ("seeds", [0]),
        ("defences.a.epochs", 5),
    ]
    assert both.values["scales"]["large"] == {"seeds": [1]}


LEAVES = st.none() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
KEYS = st.sampled_from(["a", "b", "use", "scales"])
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)
FILES = st.dictionaries(KEYS, TREES, max_size=3)


@given(FILES, FILES)
def test_a_merge_contains_what_is_above_and_changes_neither_part(below: Any, above: Any) -> None:
    texts = [yaml.safe_dump(values) for values in (below, above)]
    both = lay(*texts).values
    assert merged(lay("{}", texts[0]), lay("{}", yaml.safe_dump(both))).values == both
    assert contains(both, above)
    assert [yaml.safe_load(text) for text in texts] == [below, above]


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], value) for key, value in part.items()
        )
    return whole == part


@given(FILES)
def test_a_file_over_itself_is_itself(values: Any) -> None:
    text = yaml.safe_dump(values)
    assert lay(text, text).values == lay("{}", text).values == lay(text, "{}").values == values


@given(TREES)
def test_the_size_counts_what_is_inside(value: Any) -> None:
    inside = value.values() if isinstance(value, dict) else value or ()
    assert size(value) == 1 + (sum(map(size, inside)) if isinstance(value, dict | list) else 0)
