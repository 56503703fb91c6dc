"""The examples in docstrings are true. Those of invspec/ops are collected by pytest itself."""

from __future__ import annotations

import doctest
import importlib

import pytest
from imports import PACKAGE, ROOT

WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent.name != "ops" and ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > found.failed == 0
