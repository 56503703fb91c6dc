"""The child process with the pretend device, one per test session and xdist worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pretend_process import Child, child


@pytest.fixture(scope="session")
def on_device() -> Iterator[Child]:
    """Calls a function in the process that has the device."""
    with child() as calls:
        yield calls
