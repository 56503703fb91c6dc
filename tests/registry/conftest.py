"""A fixture that writes a user's registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import WriteFile, reread, untouched

from invspec.registry import cards


@pytest.fixture
def write(tmp_path: Path) -> Iterator[WriteFile]:
    """Write a file of a user's registry, which is taken away again afterwards."""

    def write_file(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        cards.add(tmp_path)
        reread()

    with untouched(tmp_path):
        yield write_file
