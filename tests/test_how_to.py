"""The Python of the documentation runs."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from workbench import ROOT, call, command


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)


def values_of(block: str, names: dict[str, Any]) -> list[Any]:
    """The values of the expressions that stand alone in a block."""
    lines = [line.split("  #")[0].strip() for line in block.splitlines()]
    alone = [line for line in lines if re.match(r"(results|attacked|invspec)\.", line)]
    return [eval(line, names) for line in alone]


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for block in blocks("python.md"):
        exec(compile(block, "python.md", "exec"), names)
        shown += values_of(block, names)
    results = names["results"]
    assert results.missing == 0
    assert results.tables == ["robust_accuracy under pgd", "invariance under turn"]
    assert list(results.verdicts()["outcome"]) == ["holds"]
    assert (tmp_path / "page" / "index.html").exists()
    frames = [value for value in shown if isinstance(value, pd.DataFrame)]
    assert len(frames) == 9
    assert all(len(frame) for frame in frames)
    accuracy, distance = frames[-2:]
    assert 0 < accuracy["value"].iloc[0] < 1
    assert all(distance["value"] > 0)


@pytest.mark.slow
def test_the_commands_of_the_page_on_comparisons_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)).splitlines()
    shown: list[str] = []
    for line in lines:
        program, *words = shlex.split(line)
        if program == "cp":
            shutil.copytree(*words[1:])
        else:
            assert call(*words) == 0, line
        shown.append(capsys.readouterr().out)
    by_norm, by_store, by_match = (shown[place] for place in (2, 4, 5))
    assert "attacks.pgd.norm" in by_norm
    assert "equal to the last bit" in by_norm
    assert "no setting, version or machine differs" in by_store
    assert "only in A" in by_match
    assert "not swept" in by_match
    assert (tmp_path / "boards" / "leaderboard.csv").exists()
    assert "fake: l2, eps 0.1" in shown[-2]


def test_the_spec_of_the_gate_is_valid_and_its_workflow_runs_a_command_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the model of docs/own-net.md. Its weights are not trained: no number can be trusted."""
    monkeypatch.chdir(tmp_path)
    for text in ((ROOT / "docs" / page).read_text() for page in ("own-net.md", "gate.md")):
        for name, body in re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", text, re.M | re.S):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
    names: dict[str, Any] = {}
    exec((tmp_path / "lab" / "net.py").read_text(), names)
    checkpoint = tmp_path / "lab" / "checkpoint.pth"
    torch.save({"state_dict": names["Net"]().state_dict()}, checkpoint)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    spec = tmp_path / "gate.yaml"
    spec.write_text(spec.read_text().replace("sha256: ...", f"sha256: {digest}"))
    workflow = yaml.safe_load((tmp_path / ".github" / "workflows" / "gate.yaml").read_text())
    (run,) = [
        step["run"]
        for step in workflow["jobs"]["claims"]["steps"]
        if step.get("run", "").startswith("invspec ")
    ]
    words = shlex.split(run.replace("$GITHUB_STEP_SUMMARY", "summary.md"))
    done = command(*words[1:], "--workers", 1)
    assert done.returncode == 4, done.stderr
    assert "gate is undecided: of 3 claims" in done.stderr
    assert "Gate is undecided: of 3 claims" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "verdicts.xml").exists()


def test_tables_are_written_for_a_paper_as_their_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "tables.md").read_text()
    (body,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "two.yaml").write_text(body)
    ran = command("run", "two.yaml", "--smoke", "--workers", "1")
    assert ran.returncode == 0, ran.stderr
    (line,) = re.findall(r"`invspec (report two.yaml .*?)`", page)
    written = command(*shlex.split(line), "--smoke")
    assert written.returncode == 0, written.stderr
    # a smoke run has names of its own
    names = {path.name.replace("two-smoke", "two") for path in (tmp_path / "paper").iterdir()}
    named = re.findall(r"`(two[\w-]*\.tex)`", page)
    assert len(named) == 3
    assert {*named, "two-figure-robust_accuracy.pdf"} <= names
    texts = "".join(path.read_text() for path in (tmp_path / "paper").glob("*.tex"))
    labels = re.findall(r"`(\\label\{.*?\})`", page)
    assert len(labels) == 2
    assert all(label.replace("two", "two-smoke") in texts for label in labels)
    (paper,) = re.findall(r"^```tex\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "paper.tex").write_text(paper.replace("two-", "two-smoke-"))
    if shutil.which("pdflatex"):
        words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        compiled = subprocess.run(words, capture_output=True, text=True)
        assert compiled.returncode == 0, compiled.stdout
        assert "Overfull" not in compiled.stdout
