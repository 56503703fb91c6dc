"""Scales and `--set` values laid over a spec, and how a spec is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from invspec.attacks.pgd import PGD
from invspec.errors import SpecError
from invspec.spec import overlay
from invspec.spec.resolved import Spec

WRITTEN = """\
title: toy
datasets: {fake: {}}
models: {linear: {}}
defences: {standard: {epochs: 9}}
attacks: {pgd: {eps: 0.1, steps: 40}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
scales:
  laptop: {attacks.pgd.steps: 5, seeds: [7], defences.standard.epochs: 2}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(WRITTEN)
    return path


def pgd_of(read: Spec) -> PGD:
    method = read.entries["attacks"]["pgd"].variants[0].method
    assert isinstance(method, PGD)
    return method


def test_a_scale_changes_a_spec_and_settings_change_both(path: Path) -> None:
    assert pgd_of(overlay.load(path)) == PGD(eps=0.1, steps=40)
    laptop = overlay.load(path, "laptop", ["attacks.pgd.steps=6"])
    assert (pgd_of(laptop), laptop.seeds) == (PGD(eps=0.1, steps=6), (7,))
    assert laptop.entries["defences"]["standard"].variants[0].method.epochs == 2


def test_a_mistake_in_a_scale_is_named_at_its_own_line(path: Path) -> None:
    path.write_text(WRITTEN + "  wrong:\n    attacks.pgd:\n      eps: 0.1\n      steps: many\n")
    with pytest.raises(SpecError, match=r"toy\.yaml:13: attacks\.pgd\.steps"):
        overlay.load(path, "wrong")


def test_a_setting_is_yaml(path: Path) -> None:
    swept = overlay.load(path, settings=["attacks.pgd.eps={sweep: [0.1, 8/255]}", "title='a=b'"])
    assert [item.method for item in swept.entries["attacks"]["pgd"].variants] == [
        PGD(eps=0.1),
        PGD(eps=8 / 255),
    ]
    assert swept.title == "a=b"


def test_a_spec_is_named_after_its_file(path: Path) -> None:
    assert overlay.load(path).name == "toy"


def test_a_spec_is_found_by_path_or_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert overlay.find("quickstart").name == "quickstart.yaml"
    assert overlay.find("nowhere/quickstart") == Path("nowhere/quickstart")
    assert overlay.find("nothing.yaml") == Path("nothing.yaml")
    monkeypatch.chdir(path.parent)
    Path("quickstart").write_text(WRITTEN)
    assert overlay.find("quickstart") == Path(
        "quickstart"
    )  # a file here comes before one that ships
    with pytest.raises(SpecError, match="no spec is named 'toi'"):
        overlay.find("toi")


def test_files_that_specs_extend_are_no_specs_by_name() -> None:
    assert (overlay.shipped("specs") / "shared" / "nspgd_nets.yaml").is_file()
    for name in ("nspgd_nets", "shared"):
        with pytest.raises(SpecError, match=f"no spec is named '{name}'") as problem:
            overlay.find(name)
        assert "nspgd_nets" not in problem.value.hint


def test_a_path_without_a_file_may_mean_a_spec_that_ships() -> None:
    with pytest.raises(SpecError, match=r"nowhere/quickstart\.yaml: no such file") as problem:
        overlay.find("nowhere/quickstart.yaml")
    assert problem.value.hint == "the spec that ships with invspec has the name quickstart"
