"""The identity of stored work. Where these texts change, nothing that any store holds is found
again.

A change is right only where numbers may differ: a new field or default of a method, or a raised
version.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from invspec.plan import planner
from invspec.spec import overlay
from invspec.tasks import Examine, Perturb, Score, Train, canonical, key, label

HERE = Path(__file__).parent
TASKS = planner.plan(overlay.load(HERE / "tiny.yaml")).tasks


def assert_golden(name: str, found: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(found)
    assert found == (HERE / name).read_text(), (
        f"if this is meant: cp {tmp_path / name} {HERE / name}"
    )


def test_the_keys_of_a_tiny_spec(tmp_path: Path) -> None:
    assert_golden(
        "tiny.keys.txt", "".join(f"{key(task)} {label(task)}\n" for task in TASKS), tmp_path
    )


@pytest.mark.parametrize(
    "kind", [Train, Perturb, Score, Examine], ids=lambda kind: kind.__name__.lower()
)
def test_the_text_that_is_hashed(kind: type, tmp_path: Path) -> None:
    last = [task for task in TASKS if isinstance(task, kind)][-1]
    assert_golden(f"tiny.{kind.__name__.lower()}.json", canonical(last) + "\n", tmp_path)


def test_a_key_is_the_hash_of_its_text() -> None:
    for task in TASKS:
        assert key(task) == hashlib.sha256(canonical(task).encode()).hexdigest()[:40]
