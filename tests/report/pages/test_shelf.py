"""Folders of pages: one for each study, the same at every call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from invspec.errors import InvspecError
from invspec.report.pages import shelf
from invspec.spec import overlay
from invspec.spec.resolved import Spec

TEXT = """\
title: toy
datasets: {fake: {}}
models: {linear: {}}
defences: {standard: {}}
attacks: {pgd: {}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
scales: {small: {defences.standard.epochs: 1}, smoke: {defences.standard.epochs: 2}}
"""


def study(path: Path, scale: str | None = None, *settings: str) -> Spec:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT)
    return overlay.load(path, scale, settings)


def test_the_name_is_plain_while_it_is_free(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    spec = study(tmp_path / "a.yaml")
    assert shelf.folder(spec, root) == shelf.folder(spec, root) == root / "a"


def test_every_study_has_its_own_folder_whichever_comes_first(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    studies = [
        study(tmp_path / "a" / "s.yaml"),
        study(tmp_path / "b" / "s.yaml"),
        study(tmp_path / "b" / "s.yaml", "small"),
        study(tmp_path / "s-small.yaml"),
        study(tmp_path / "b" / "s.yaml", "small", "seeds=[1]"),
        study(tmp_path / "b" / "s.yaml", None, "seeds=[1]"),
        study(tmp_path / "b" / "s.yaml", None, "seeds=[2]"),
        study(tmp_path / "b" / "s.yaml", "smoke"),
        study(tmp_path / "b" / "s.yaml").smoke(),
        study(tmp_path / "b" / "s.yaml", None, "seeds=[1]").smoke(),
    ]
    folders = [shelf.folder(spec, root) for spec in studies]
    assert len(set(folders)) == len(studies)
    assert [shelf.folder(spec, root) for spec in reversed(studies)] == folders[::-1]


def test_the_order_of_settings_on_different_fields_does_not_matter(tmp_path: Path) -> None:
    first = study(tmp_path / "s.yaml", None, "seeds=[1]", "attacks.pgd.steps=2")
    second = study(tmp_path / "s.yaml", None, "attacks.pgd.steps=2", "seeds=[1]")
    assert first.name == second.name
    assert first.name.startswith("s-")


def test_a_project_that_is_moved_keeps_its_pages(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    spec = study(before / "s.yaml")
    shelf.folder(study(before / "x" / "s.yaml"), before / "store" / "reports")
    name = shelf.folder(spec, before / "store" / "reports").name
    before.rename(after)
    moved = overlay.load(after / "s.yaml")
    assert shelf.folder(moved, after / "store" / "reports").name == name


def test_a_shipped_spec_is_known_by_its_name(tmp_path: Path) -> None:
    spec = overlay.load(overlay.find("quickstart"))
    page = shelf.folder(spec, tmp_path)
    assert page.name == "quickstart"
    assert json.loads((page / shelf.FILE).read_text())["spec"] == "quickstart"


def test_the_page_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    spec, root = study(tmp_path / "s.yaml"), tmp_path / "reports"
    (root / "s").mkdir(parents=True)
    (root / "s" / "index.html").write_text("old")
    assert shelf.folder(spec, root) == root / "s"
    (root / "s" / shelf.FILE).write_text("{damaged")
    assert shelf.folder(spec, root) == root / "s"


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(InvspecError, match="cannot write") as problem:
        shelf.folder(study(tmp_path / "s.yaml"), tmp_path / "reports")
    assert problem.value.hint == "choose another --output"
