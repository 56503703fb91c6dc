"""Pages that show a piece of work run from their first block to their last."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from site_pages import RUN, Block, Command, page, without_numbers
from workbench import call, command

# pages whose specs train for longer than CI should: it runs them with --smoke
LONG = ("tutorial", "writing-a-claim")
# commands that take --smoke
TAKES_SMOKE = ("run", "report", "samples", "plan")


# pages of which CI runs every night: other tests of CI run most of what they show
NIGHTLY = ("own-data", "own-net", "paper-table", "reading-the-store")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in NIGHTLY else name for name in RUN],
)
def test_every_block_of_a_page_runs_in_its_order(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    codes = follow(name, monkeypatch, smoke=name in LONG)
    assert codes
    assert {line: code for line, code in codes.items() if code} == {}


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    codes = follow("tutorial", monkeypatch, smoke=False)
    assert set(codes.values()) == {0}
    printed = set(map(without_numbers, capfd.readouterr().out.splitlines()))
    shown = [block.text for block in page("tutorial") if block.language == "text"]
    assert len(shown) == 4
    lines = [line for text in shown for line in text.splitlines()]
    assert [line for line in lines if without_numbers(line) not in printed] == []


def follow(name: str, monkeypatch: pytest.MonkeyPatch, smoke: bool) -> dict[str, int]:
    """Do what a page says, in the current folder. Returns the exit code of each command."""
    names: dict[str, Any] = {}
    codes: dict[str, int] = {}
    # as a program in this folder has it
    monkeypatch.syspath_prepend(Path.cwd())
    for block in page(name):
        if block.path is not None:
            write(block, Path())
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        elif block.language == "sh":
            for line in block.commands:
                codes[" ".join(line.words)] = run(line, monkeypatch, smoke)
    return codes


def write(block: Block, folder: Path) -> None:
    """Write a block to the file that it names, with the digests of files that are there."""
    assert block.path is not None
    text = block.text
    for file in re.findall(r"file: (\S+), sha256: \.\.\.", text):
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        text = text.replace(f"file: {file}, sha256: ...", f"file: {file}, sha256: {digest}")
    path = folder / block.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run(line: Command, monkeypatch: pytest.MonkeyPatch, smoke: bool) -> int:
    """Run a command of a page, in a process of its own if it adds a registry to the process.

    Returns its exit code.
    """
    program, *words = line.words
    assert program == "invspec", f"a page that runs has only commands of invspec, not {program}"
    if words[0] == "run":
        words += ["--workers", "1"]
    if smoke and words[0] in TAKES_SMOKE and "--smoke" not in words:
        words.append("--smoke")
    if "--registry" in words:
        return command(*words, **line.settings).returncode
    with monkeypatch.context() as environment:
        for name, value in line.settings.items():
            environment.setenv(name, value)
        return call(*words)
