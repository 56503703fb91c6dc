"""The methods that pages of the site show how to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import untouched
from site_pages import BLOCKS

from invspec.registry import cards


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules and cards of all pages, which they call `mine` or `lab`."""
    folder = tmp_path_factory.mktemp("own") / "mine"
    for block in BLOCKS:
        if block.path is not None and block.path.startswith(("mine/", "lab/")):
            path = folder / block.path.partition("/")[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return folder


@pytest.fixture
def own_methods(own_folder: Path) -> Iterator[Path]:
    """Their cards are registered during the test."""
    with untouched(own_folder):
        cards.add(own_folder)
        yield own_folder
