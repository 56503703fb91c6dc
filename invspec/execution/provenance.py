"""made.json: how an artifact was made, and the digests of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from invspec import __version__
from invspec.execution import disk, surroundings

FILE = "made.json"


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write made.json: facts, versions, surroundings, and the digest of every other file."""
    digests = {path.name: disk.sha256(path) for path in sorted(folder.iterdir())}
    made = {**facts, **versions(), **surroundings.facts(), "sha256": digests}
    (folder / FILE).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """The content of made.json. Raises OSError or ValueError if it cannot be read."""
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{FILE} holds {type(content).__name__}, expected an object")
    return content


@dataclass(frozen=True)
class Record:
    """The digest of an artifact's tensors, and of those of its inputs, by key."""

    digest: str
    inputs: Mapping[str, str]


def record(folder: Path, payload: str) -> Record:
    """What made.json says of digests. Without inputs, as before invspec wrote them, it has none.

    Raises: OSError, KeyError and the like if it cannot be read.
    """
    made = read(folder)
    inputs: dict[str, str] = made.get("inputs", {})
    return Record(made["sha256"][payload], dict(inputs))


def flaws(folder: Path) -> list[str]:
    """What is wrong with an artifact: files that are missing or differ from what was written."""
    try:
        digests: dict[str, str] = read(folder)["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return [f"{FILE}: {type(problem).__name__}"]
    checked = (_flaw(folder / name, digest) for name, digest in digests.items())
    return [flaw for flaw in checked if flaw]


def _flaw(path: Path, digest: str) -> str:
    if not path.is_file():
        return f"{path.name}: missing"
    if (actual := disk.sha256(path)) != digest:
        return f"{path.name}: SHA-256 is {actual[:12]}…, expected {digest[:12]}…"
    return ""


@cache
def versions() -> dict[str, str]:
    """Versions of invspec, with its commit, and of torch."""
    return {"invspec": __version__, "commit": _commit(), "torch": str(torch.__version__)}


def _commit() -> str:
    """The commit of the checkout that invspec runs from, or "none". Works without git."""
    git = Path(__file__).parents[2] / ".git"
    try:
        if git.is_file():
            # a worktree: the file names its folder, which names the repository's own
            git = Path(git.read_text(encoding="utf-8").removeprefix("gitdir: ").strip())
            return _commit_in(git, git / (git / "commondir").read_text(encoding="utf-8").strip())
        return _commit_in(git, git)
    except OSError:
        return "none"


def _commit_in(git: Path, common: Path) -> str:
    """The commit of a folder with HEAD; branches are in the repository's own folder."""
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    branch = head.removeprefix("ref: ")
    if (common / branch).is_file():
        return (common / branch).read_text(encoding="utf-8").strip()
    packed = (
        line.split() for line in (common / "packed-refs").read_text(encoding="utf-8").splitlines()
    )
    return next((fields[0] for fields in packed if fields[1:] == [branch]), "none")
