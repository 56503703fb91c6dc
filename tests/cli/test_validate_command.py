"""`invspec validate`: warnings beside problems, and --strict."""

from __future__ import annotations

from pathlib import Path

import pytest
from workbench import call

SPEC = """\
title: toy
datasets: {fake: {shape: [1, 4, 4], train: 16, test: 8}}
models: {linear: {}}
defences: {standard: {epochs: 1}}
attacks:
  pgd: {eps: 8, steps: 2, sample: {limit: 4}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


def test_a_doubtful_setting_is_warned_of_with_its_line(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("validate", spec) == 0
    printed = capsys.readouterr()
    assert f"{spec}: 1 cell, " in printed.out
    assert printed.err.startswith(f"warning: {spec}:6: attacks.pgd.eps: eps 8 in linf is more")
    assert printed.err.count("warning: ") == 1


@pytest.mark.parametrize("command", ["validate", "run"])
def test_strict_refuses_it(
    spec: Path, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", tmp_path / "store"] if command == "run" else []
    assert call(command, spec, "--strict", *store) == 2
    assert f"error: {spec}:6: attacks.pgd.eps" in capsys.readouterr().err


def test_a_warning_of_several_scales_is_printed_once(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC + "scales: {small: {defences.standard.epochs: 2}}\n")
    assert call("validate", spec) == 0
    assert capsys.readouterr().err.count("warning: ") == 1


def test_a_smoke_run_is_not_warned_of(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", spec, "--smoke", "--strict") == 0
    assert capsys.readouterr().err == ""
