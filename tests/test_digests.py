"""Digests of files are remembered until a file changes, however it changes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from invspec import digests


def expected(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Three files."""
    for name in "abc":
        (tmp_path / name).write_text(name)
    return [str(tmp_path / name) for name in "abc"]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "memory.json"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read. All files count as settled."""
    seen: list[str] = []
    read = digests.read

    def counted(path: str | Path) -> str:
        seen.append(str(path))
        return read(path)

    monkeypatch.setattr(digests, "read", counted)
    monkeypatch.setattr(digests, "SETTLED", -(10**18))
    return seen


def test_a_second_look_reads_nothing(paths: list[str], memory: Path, reads: list[str]) -> None:
    first = digests.of_all(paths, memory)
    assert first == [expected(Path(path)) for path in paths]
    assert sorted(reads) == paths
    reads.clear()
    assert digests.of_all(paths, memory) == first
    assert reads == []


def test_content_of_the_same_size_and_mtime_is_read_again(
    paths: list[str], memory: Path, reads: list[str]
) -> None:
    digests.of_all(paths, memory)
    before = Path(paths[0]).stat()
    Path(paths[0]).write_text("X")
    os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Path(paths[0]).stat().st_mtime_ns == before.st_mtime_ns
    reads.clear()
    assert digests.of_all(paths, memory)[0] == hashlib.sha256(b"X").hexdigest()
    assert reads == paths[:1]


def test_a_file_that_replaces_another_is_read(
    paths: list[str], memory: Path, reads: list[str]
) -> None:
    digests.of_all(paths, memory)
    # of one size, with the first's times as far as they can be set
    Path(paths[1]).replace(paths[0])
    assert digests.of_all([paths[0], paths[2]], memory)[0] == hashlib.sha256(b"b").hexdigest()


def test_a_file_that_has_just_changed_is_not_remembered(paths: list[str], memory: Path) -> None:
    digests.of_all(paths, memory)
    assert json.loads(memory.read_text()) == {}


def test_a_file_that_has_been_at_rest_is_remembered(
    paths: list[str], memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(digests.time, "time_ns", lambda: now + 60 * 10**9)
    digests.of_all(paths, memory)
    assert sorted(json.loads(memory.read_text())) == paths


def test_files_that_are_gone_are_forgotten(
    paths: list[str], memory: Path, reads: list[str]
) -> None:
    digests.of_all(paths, memory)
    Path(paths[1]).write_text("new")
    digests.of_all(paths[1:], memory)
    assert sorted(json.loads(memory.read_text())) == paths[1:]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": [[1], 2]}', "null"])
def test_a_damaged_memory_is_no_memory(paths: list[str], memory: Path, content: str) -> None:
    memory.parent.mkdir()
    memory.write_text(content)
    assert digests.of_all(paths, memory) == [expected(Path(path)) for path in paths]


def test_a_memory_that_cannot_be_written_costs_only_time(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    memory = tmp_path / "file" / "memory.json"
    assert digests.of_all(paths, memory) == [expected(Path(path)) for path in paths]


def test_two_at_once_share_a_memory(paths: list[str], memory: Path, reads: list[str]) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: digests.of_all(paths, memory), range(40)))
    assert all(result == results[0] for result in results)
    assert sorted(json.loads(memory.read_text())) == paths
    assert [path.name for path in memory.parent.iterdir()] == [memory.name]


def test_a_missing_file_is_named(tmp_path: Path, memory: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        digests.of_all([str(tmp_path / "nowhere")], memory)


def test_one_file_is_read_once_while_it_is_at_rest(paths: list[str], reads: list[str]) -> None:
    assert digests.sha256(paths[0]) == digests.sha256(paths[0]) == expected(Path(paths[0]))
    assert reads == paths[:1]
    Path(paths[0]).write_text("other")
    assert digests.sha256(paths[0]) == expected(Path(paths[0]))
