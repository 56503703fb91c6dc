"""Digests of users' code, which are part of the keys of their methods."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from invspec import sources
from invspec.attacks.pgd import PGD


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of one module with the class Mine; its registration is undone."""
    (tmp_path / "mine.py").write_text("class Mine: pass\n")
    yield tmp_path
    sources.remove(tmp_path)


@pytest.fixture
def mine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """The class in the folder, imported."""
    spec = importlib.util.spec_from_file_location("mine_of_sources", folder / "mine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # the file of a class is found by the name of its module
    monkeypatch.setitem(sys.modules, "mine_of_sources", module)
    spec.loader.exec_module(module)
    return module.Mine


def test_classes_of_invspec_have_versions_instead_of_a_digest() -> None:
    assert sources.source_of(PGD) == {}


def test_a_class_without_a_file_has_its_module_alone() -> None:
    typed: type = type("Typed", (), {"__module__": "nowhere"})
    assert sources.source_of(typed) == {"module": "nowhere"}


def test_a_digest_changes_with_the_content_and_the_name_of_any_python_file(folder: Path) -> None:
    seen = [sources.digest_of(folder)]
    (folder / "inner").mkdir()
    (folder / "inner" / "helper.py").write_text("a = 1\n")
    seen.append(sources.digest_of(folder))
    (folder / "inner" / "helper.py").write_text("a = 2\n")
    seen.append(sources.digest_of(folder))
    (folder / "inner" / "helper.py").rename(folder / "inner" / "other.py")
    seen.append(sources.digest_of(folder))
    assert len(set(seen)) == 4
    (folder / "inner" / "notes.txt").write_text("no code")
    assert sources.digest_of(folder) == seen[-1]


def test_content_cannot_pass_for_the_name_of_a_further_file(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    (one / "a.py").write_text("x\nb.py 2\ny\n")
    (two / "a.py").write_text("x\n")
    (two / "b.py").write_text("y\n")
    assert sources.digest_of(one) != sources.digest_of(two)


def test_a_class_in_a_registered_folder_has_the_digest_of_the_folder(
    folder: Path, mine: type
) -> None:
    before = sources.generation()
    sources.add(folder.resolve())
    assert sources.generation() == before + 1
    assert sources.source_of(mine) == {
        "module": "mine_of_sources",
        "source": sources.digest_of(folder),
    }


def test_a_folder_has_the_digest_of_the_time_when_it_was_added(folder: Path, mine: type) -> None:
    digest = sources.digest_of(folder)
    sources.add(folder.resolve())
    (folder / "later.py").write_text("a = 1\n")
    assert sources.source_of(mine)["source"] == digest != sources.digest_of(folder)
