"""Restore the registry after a test that adds to it; messages of errors about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from invspec import sources
from invspec.errors import SpecError
from invspec.registry import cards
from invspec.registry.methods import resolve

# Writes a file of a user's registry: its name and its text.
WriteFile = Callable[[str, str], None]


def reread() -> None:
    """Forget every card and every class behind one."""
    cards.forget()
    resolve.cache_clear()


@contextmanager
def untouched(folder: Path) -> Generator[None]:
    """Undo what the block adds: users' folders, and modules imported from this folder."""
    added, path, modules = list(cards._added), list(sys.path), set(sys.modules)
    cards._added.clear()
    reread()
    try:
        yield
    finally:
        for added_here in cards._added:
            sources.remove(added_here)
        cards._added[:], sys.path[:] = added, path
        for name in set(sys.modules) - modules:
            if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).is_relative_to(
                folder.resolve()
            ):
                del sys.modules[name]
        reread()


def refusal(work: Callable[[], object], tmp_path: Path) -> str:
    """The message of the error that the work raises, with paths relative to the folder."""
    with pytest.raises(SpecError) as caught:
        work()
    return str(caught.value).replace(f"{tmp_path.resolve()}/", "")
