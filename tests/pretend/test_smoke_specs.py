"""Every task of a smoke run computes on the pretend device what the CPU computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pretend_process import Child
from pretend_specs import smoke_differences
from smoke_specs import QUICK, SPECS


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem in QUICK else pytest.mark.slow) for path in SPECS],
    ids=lambda path: path.stem,
)
def test_a_smoke_run_gives_the_same_bytes_as_on_the_cpu(on_device: Child, path: Path) -> None:
    assert on_device(smoke_differences, path) == []
