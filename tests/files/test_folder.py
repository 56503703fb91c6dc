"""The folder of data files, and files with a known MD5 sum."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from invspec.errors import InvspecError
from invspec.files import folder


def test_the_folder_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    assert folder.given() == tmp_path
    monkeypatch.delenv("INVSPEC_DATA")
    assert folder.given() is None


def test_an_empty_variable_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVSPEC_DATA", "")
    assert folder.given() is None


def test_downloads_go_to_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder.cache() == tmp_path / ".cache" / "invspec"


def test_a_relative_path_begins_in_the_folder_and_an_absolute_one_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", "/data")
    assert folder.located("weights/a.pth") == Path("/data/weights/a.pth")
    assert folder.located(str(tmp_path / "a.pth")) == tmp_path / "a.pth"


def test_without_a_folder_only_an_absolute_path_is_located(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    assert folder.located("/a.pth") == Path("/a.pth")
    with pytest.raises(InvspecError) as problem:
        folder.located("a.pth")
    assert problem.value.message == "a.pth is relative to INVSPEC_DATA, which is not set"
    assert problem.value.hint.startswith("set INVSPEC_DATA to the folder that has a.pth")


def test_a_file_is_read_if_its_sum_is_the_one_expected(tmp_path: Path) -> None:
    path, hints = tmp_path / "a", {"missing": "fetch it", "damaged": "fetch it again"}
    md5 = hashlib.md5(b"content").hexdigest()
    with pytest.raises(InvspecError) as problem:
        folder.read(path, md5, **hints)
    assert str(problem.value) == f"{path} cannot be read: No such file or directory\nhint: fetch it"
    path.write_bytes(b"content")
    assert folder.read(path, md5, **hints) == b"content"
    path.write_bytes(b"x" * 1234)
    with pytest.raises(InvspecError) as problem:
        folder.read(path, md5, **hints)
    found = hashlib.md5(b"x" * 1234).hexdigest()
    assert problem.value.message == (
        f"{path} is damaged: found 1,234 bytes with MD5 {found}, expected MD5 {md5}"
    )
    assert problem.value.hint == "fetch it again"
