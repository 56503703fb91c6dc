"""Every code block of the README runs."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from workbench import ROOT, call, command

README = (ROOT / "README.md").read_text(encoding="utf-8")
GRAY = """\
title: gray
datasets: {digits: {}}
models: {linear: {}}
defences: {standard: {epochs: 1}}
attacks: {gray: {sample: {limit: 50}}}
measures: {fooling_rate: {of: gray}, overconfidence: {of: gray}}
train: [{dataset: digits, model: linear, defence: standard}]
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str

    @property
    def path(self) -> str | None:
        """The file that its first line names in a comment."""
        named = re.match(r"# (\S+\.(?:py|yaml))\n", self.text)
        return named and named[1]


BLOCKS = [Block(*parts) for parts in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)]


def commands() -> Iterator[list[str]]:
    """Every command line of the shell blocks, without its environment and comment."""
    for block in BLOCKS:
        if block.language == "sh":
            for line in block.text.splitlines():
                words = shlex.split(line, comments=True)
                yield [word for word in words if not re.match(r"[A-Z_]+=", word)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file that a block names."""
    for block in BLOCKS:
        if block.path is not None:
            path = tmp_path / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_is_covered_here() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "text", "yaml", "python"}
    unnamed = [block.text.split(":")[0] for block in BLOCKS if block.path is None]
    assert [first for first in unnamed if first == "title"] == ["title"]
    assert len([block for block in BLOCKS if block.language == "text"]) == 1


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_shell_commands_exist(words: list[str]) -> None:
    assert words[:2] == ["uv", "run"]
    program, *arguments = words[2:]
    if program == "pytest":
        ci = (ROOT / ".ci" / "run").read_text()
        assert f"\n{' '.join(words)}\n" in ci, "CI does not run the README's test command"
        return
    assert program == "invspec"
    subcommand, spec, *options = arguments
    assert subcommand in ("run", "report")
    scale = options[: 2 * ("--scale" in options)]
    assert call("validate", ROOT / spec if "/" in spec else spec, *scale) == 0


def test_the_spec_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = [block.text for block in BLOCKS if block.text.startswith("title:")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(text)
    assert call("validate", "spec.yaml") == 0
    assert call("run", "spec.yaml", "--smoke", "--scale", "laptop", "--workers", 1) == 0


def test_an_attack_and_a_measure_of_ones_own_run(files: Path) -> None:
    (files / "my.yaml").write_text(GRAY)
    ran = command("run", files / "my.yaml", "--registry", files / "mine", "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    assert "gray" in ran.stdout
    assert "mean confidence of wrong predictions" in ran.stdout


def test_a_model_of_ones_own_runs(files: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 64), nn.ReLU(), nn.Linear(64, 10))
    torch.save(net.state_dict(), files / "own.pth")
    digest = hashlib.sha256((files / "own.pth").read_bytes()).hexdigest()
    spec = files / "own.yaml"
    spec.write_text(spec.read_text().replace("sha256: ...", f"sha256: {digest}"))
    ran = command(
        "run", spec, "--registry", files / "mine", "--workers", 1, INVSPEC_DATA=os.fspath(files)
    )
    assert ran.returncode == 0, ran.stderr
    assert "robust_accuracy" in ran.stdout


def test_named_blocks_parse(files: Path) -> None:
    for block in BLOCKS:
        if block.path is None:
            continue
        if block.language == "python":
            compile(block.text, block.path, "exec")
        else:
            assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.slow
def test_the_quickstart_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (shown,) = [block.text for block in BLOCKS if block.language == "text"]
    ran = command("run", ROOT / "specs" / "quickstart.yaml", "--store", tmp_path, COLUMNS="80")
    assert ran.returncode == 0, ran.stderr
    printed = [line.rstrip() for line in ran.stdout.splitlines()]
    lines = [line.rstrip() for line in shown.splitlines() if line.strip() not in ("", "...")]
    # the page's path, the versions and the times differ from run to run
    assert [line for line in lines if line not in printed and "page:" not in line] == []
