"""The Python of the documentation runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workbench import ROOT


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)


def values_of(block: str, names: dict[str, Any]) -> list[Any]:
    """The values of the expressions that stand alone in a block."""
    lines = [line.split("  #")[0].strip() for line in block.splitlines()]
    alone = [line for line in lines if re.match(r"(results|attacked|invspec)\.", line)]
    return [eval(line, names) for line in alone]


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for block in blocks("python.md"):
        exec(compile(block, "python.md", "exec"), names)
        shown += values_of(block, names)
    results = names["results"]
    assert results.missing == 0
    assert results.tables == ["robust_accuracy under pgd", "invariance under turn"]
    assert list(results.verdicts()["outcome"]) == ["holds"]
    assert (tmp_path / "page" / "index.html").exists()
    frames = [value for value in shown if isinstance(value, pd.DataFrame)]
    assert len(frames) == 9
    assert all(len(frame) for frame in frames)
    accuracy, distance = frames[-2:]
    assert 0 < accuracy["value"].iloc[0] < 1
    assert (distance["value"] > 0).all()
