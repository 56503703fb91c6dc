"""Provenance names the versions that made an artifact."""

import pytest
import torch

from invspec import __version__
from invspec.execution import provenance


def test_versions_name_the_package_its_commit_and_torch():
    versions = provenance.versions()
    assert set(versions) == {"invspec", "commit", "torch"}
    assert (versions["invspec"], versions["torch"]) == (__version__, torch.__version__)


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"HEAD": "abc123\n"}, "abc123"),
        ({"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "def456\n"}, "def456"),
        (
            {
                "HEAD": "ref: refs/heads/main\n",
                "packed-refs": "# pack-refs\n789abc refs/heads/main\n^000\n",
            },
            "789abc",
        ),
        ({"HEAD": "ref: refs/heads/main\n", "packed-refs": "789abc refs/heads/other\n"}, "none"),
        ({"HEAD": "ref: refs/heads/main\n"}, "none"),
        ({}, "none"),
    ],
)
def test_the_commit_is_read_without_git(tmp_path, monkeypatch, files, commit):
    for name, text in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path = tmp_path / "invspec" / "execution" / "provenance.py"
    monkeypatch.setattr(provenance, "__file__", str(path))
    assert provenance._commit() == commit
