"""SHA-256 of files, remembered between processes until a file changes. Does not import torch."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

# size, times of the last changes of content and of status, and inode
State = tuple[int, int, int, int]
# digests by path, with the states that the files had
Known = dict[str, tuple[State, str]]

# A file may change twice within one tick of its file system's clock, which no state shows. So only
# digests of files that have been unchanged for so long are remembered.
SETTLED = 2_000_000_000
THREADS = 8


def state_of(path: str | Path) -> State:
    """What changes when a file is edited, replaced or touched. Raises OSError if it is missing."""
    facts = os.stat(path)
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, 64 hex digits; read again only where its state has changed.

    Raises: OSError if it cannot be read.
    """
    state = state_of(path)
    return _remembered(str(path), state) if _is_settled(state) else read(path)


@lru_cache(maxsize=10_000)
def _remembered(path: str, state: State) -> str:
    return read(path)


def read(path: str | Path) -> str:
    """SHA-256 of a file's content, read now. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_settled(state: State) -> bool:
    return max(state[1:3]) + SETTLED < time.time_ns()


def of_all(paths: Sequence[str], memory: Path) -> list[str]:
    """The SHA-256 of many files, remembered in the file `memory` by their states.

    Only files that it does not know, or whose state differs, are read. Processes may share it: it
    is replaced as a whole, and what one of them loses is read again.

    Raises: OSError if a file cannot be read.
    """
    known = _load(memory)
    with ThreadPoolExecutor(THREADS) as threads:
        states = list(map(state_of, paths))
        unknown = [
            path
            for path, state in zip(paths, states, strict=True)
            if known.get(path, (None,))[0] != state
        ]
        digests = dict(zip(unknown, threads.map(read, unknown), strict=True))
    if digests:
        settled = {
            path: (state, digests[path])
            for path, state in zip(paths, states, strict=True)
            if path in digests and _is_settled(state)
        }
        _save(memory, {**known, **settled}, keep=set(paths))
    return [digests.get(path) or known[path][1] for path in paths]


def _load(memory: Path) -> Known:
    """What the file remembers; nothing if it is missing or damaged."""
    try:
        entries: Mapping[str, Any] = json.loads(memory.read_bytes())
        return {
            path: (tuple(map(int, state)), str(digest))  # pyright: ignore[reportReturnType]  # compared only
            for path, (state, digest) in entries.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save(memory: Path, known: Known, keep: set[str]) -> None:
    """Replace the file, without paths that are no longer asked for."""
    partial = memory.with_name(f"{memory.name}.{uuid.uuid4().hex[:8]}")
    text = json.dumps({path: entry for path, entry in known.items() if path in keep})
    # it only saves time: the home folder may be read-only or full
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(text.encode())
            partial.replace(memory)
        finally:
            partial.unlink(missing_ok=True)
