# ruff: noqa: RUF001
"""Standard streams of narrow encodings, full disks and closed pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workbench import environment

from invspec.cli.streams import ascii_like

SPEC = """\
title: "Größe × Drehung – a study"
datasets: {fake: {shape: [1, 6, 6], train: 32, test: 16}}
models: {linear: {}}
defences: {standard: {epochs: 1, batch_size: 16}}
attacks: {pgd: {eps: {sweep: [2/255, 0.1]}, steps: 2, sample: {limit: 8}}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: linear, defence: standard}]
claims:
  - says: "Genauigkeit fällt † ≥ ε"
    compare: {measure: accuracy, of: {pgd.eps: 0.1}, to: {pgd.eps: 2/255}}
    expect: {difference: {below: 0}}
"""
MAIN = "from invspec.cli.app import main; main()"
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


def invspec(
    folder: Path, *arguments: str, stdout: Any = subprocess.PIPE, **changes: str
) -> subprocess.CompletedProcess[bytes]:
    changes = {"PYTHONPATH": os.pathsep.join(sys.path), **changes}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        env={**environment(), **changes},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec that has been run into a store."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    ran = invspec(folder, "run", "spec.yaml", "--workers", "1", PYTHONIOENCODING="ascii:strict")
    assert ran.returncode == 0, ran.stderr
    assert b"Grosse x Drehung - a study" in ran.stdout
    return folder


COMMANDS = (
    ("run", "spec.yaml", "--workers", "1"),
    ("report", "spec.yaml"),
    ("report", "spec.yaml", "--format", "csv"),
    ("report", "spec.yaml", "--format", "json"),
    ("report", "spec.yaml", "--format", "latex"),
    ("report", "spec.yaml", "--format", "html"),
    ("plan", "spec.yaml"),
    ("validate", "spec.yaml"),
    ("list",),
    ("list", "attack", "pgd"),
    ("schema",),
    ("store", "ls"),
    ("samples", "spec.yaml", "--format", "csv"),
    ("samples", "spec.yaml", "--output", "-"),
    ("--help",),
)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1:strict", "cp1252", "utf-8:strict"])
def test_every_command_prints_in_every_encoding(
    folder: Path, arguments: tuple[str, ...], encoding: str
) -> None:
    done = invspec(folder, *arguments, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_the_locale_of_c_changes_no_file(folder: Path) -> None:
    c = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = invspec(folder, "report", "spec.yaml", "--format", "html", **c)
    assert done.returncode == 0, done.stderr
    page = folder / "store" / "reports" / "spec" / "index.html"
    assert "Größe × Drehung" in page.read_text(encoding="utf-8")


def test_json_for_a_narrow_stream_loses_nothing(folder: Path) -> None:
    done = invspec(folder, "report", "spec.yaml", "--format", "json", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["title"] == "Größe × Drehung – a study"


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("run", "spec.yaml", "--workers", "1"),
        ("schema",),
        ("samples", "spec.yaml", "--output", "-"),
    ],
)
def test_a_full_disk_behind_stdout_is_one_error(folder: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = invspec(folder, *arguments, stdout=full)
    assert done.returncode == 1
    assert b"error: cannot write the output: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def closed(folder: Path, *arguments: str, redirection: str) -> subprocess.CompletedProcess[bytes]:
    """A command whose standard streams a shell closes."""
    call = f'exec "$0" "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", call, sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        timeout=300,
    )


@pytest.mark.parametrize("redirection", [">&-", "<&- >&-"])
def test_a_closed_stdout_is_one_error(folder: Path, redirection: str) -> None:
    done = closed(folder, "list", redirection=redirection)
    assert done.returncode == 1
    assert done.stderr == b"error: cannot write the output: Bad file descriptor\n"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_command_ends_well_if_stdout_is_closed(folder: Path, arguments: tuple[str, ...]) -> None:
    done = closed(folder, *arguments, redirection=">&-")
    assert done.returncode == 1
    assert b"error: cannot write the output: Bad file descriptor\n" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_closed_stderr_does_not_end_a_command(folder: Path) -> None:
    assert closed(folder, "list", redirection=">/dev/null 2>&-").returncode == 0


def test_a_pipe_that_closes_early_is_no_traceback(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as closed:
        done = invspec(folder, "list", stdout=closed)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@needs_full
def test_a_full_log_does_not_end_a_run(folder: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-c", MAIN, "run", "spec.yaml", "--store", str(tmp_path / "store")]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*call, "--workers", "1"],
            cwd=folder,
            env={**environment(), **path},
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=300,
        )
    assert done.returncode == 0
    assert b"page: " in done.stdout


@pytest.mark.parametrize(
    ("letter", "plain"),
    [("×", "x"), ("·", "."), ("†", "+"), ("─", "-"), ("━", "-"), ("│", "|"), ("┼", "+"), ("╭", "+"),
     ("…", "..."), ("é", "e"), ("⠋", "*"), ("█", "#"), ("\u00a0", " "), ("\u200b", ""), ("語", "?"),
     ("\udcff", "?")],
)  # fmt: skip
def test_characters_have_look_alikes_in_ascii(letter: str, plain: str) -> None:
    assert ascii_like(letter) == plain
