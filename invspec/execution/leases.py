"""Leases: which run computes a task, so that several runs on one store share the work.

A run claims a task by creating <root>/leases/<key>.json, and rewrites a counter in it while it
holds the lease. A lease whose content has not changed for some seconds of the reader's own clock is
stale: another run may take it over. Neither clocks of two machines nor times of files are compared.

The file system must let one process only create a name exclusively, replace files by renaming, and
show the content of a file that was closed to whoever opens it next: local disks do, NFS from
version 3 on, Lustre, GPFS and CephFS. Where it does not, as for a run that was frozen and wakes
up, two runs may compute one task: then the first artifact stays, and both runs go on.

Nothing is flushed to disk: a lease need not survive the crash of a machine.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invspec.execution import disk, exclusive
from invspec.execution.machine import has_ended, machine
from invspec.tasks import Task, key, needs

FOLDER = "leases"
# seconds without a change after which a lease is stale, and how often it is renewed in that time
SECONDS, RENEWALS = 60.0, 4
# seconds after writing a lease in which no run, however short its patience, can have taken it over
FRESH = 0.5


@dataclass(frozen=True)
class Lease:
    """What a lease says: the key of its task, the process that computes it, the keys it reads."""

    key: str
    host: str
    pid: int
    needs: tuple[str, ...]

    @property
    def holder(self) -> str:
        """The process that holds the lease, in words."""
        return f"process {self.pid} on {self.host}"


class Leases:
    """The leases of one run: renewed by a thread inside the context, and released at its end.

    A lease that does not change for `seconds` is stale. If a process of this machine holds it, it
    is stale as soon as the process has ended.
    """

    def __init__(
        self,
        root: Path,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root, self.seconds, self._clock = root, seconds, clock
        self._owner = {
            "owner": uuid.uuid4().hex,
            "host": platform.node(),
            "pid": os.getpid(),
            "machine": machine(),
        }
        self._counter = 0
        # what this run wrote into the leases that it holds, and when, by key
        self._held: dict[str, tuple[bytes, float]] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        # what leases of others say, and since when
        self._watched: dict[str, tuple[list[bytes], float]] = {}

    def __enter__(self) -> Leases:
        self._thread = threading.Thread(target=self._renew_often, name="leases", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        for name in tuple(self._held):
            self._release(name)

    @property
    def held(self) -> int:
        """The number of leases that this run holds."""
        return len(self._held)

    def claim(self, task: Task) -> bool:
        """Try to get the lease of a task. Returns False if another run holds it.

        Afterwards look into the store: another run may have finished the task. Raises: Unwritable.
        """
        name = key(task)
        if name in self._held:
            return True
        written = self._clock()
        content = self._content(needs=[key(need) for need in needs(task)])
        with disk.writing(self.root):
            path = _path(self.root, name)
            if not exclusive.create(path, content) and not self._take_over(Path(path), content):
                return False
        self._watched.pop(name, None)
        with self._lock:
            self._held[name] = content, written
        return True

    def release(self, task: Task) -> None:
        """Give the lease of a task back, if this run has it."""
        self._release(key(task))

    def holder(self, task: Task) -> str:
        """Who holds the lease of a task, in words."""
        lease = _parsed(key(task), exclusive.read(Path(_path(self.root, key(task)))) or b"")
        return "another run" if lease is None else lease.holder

    def renew(self) -> None:
        """Show that this run is alive: change all leases that it holds."""
        self._counter += 1
        for name in tuple(self._held):
            # a lease that cannot be written now can perhaps be written at the next time
            with self._lock, suppress(OSError):
                self._rewrite(name)

    def _renew_often(self) -> None:
        while not self._ended.wait(self.seconds / RENEWALS):
            self.renew()

    def _content(self, **facts: Any) -> bytes:
        return json.dumps({**self._owner, "counter": self._counter, **facts}).encode()

    def _rewrite(self, name: str) -> None:
        """Write the counter into a lease, unless another run has taken it over."""
        if name not in self._held:
            return
        (before, _), written = self._held[name], self._clock()
        after = self._content(needs=json.loads(before)["needs"])
        if exclusive.rewrite(Path(_path(self.root, name)), before, after):
            self._held[name] = after, written

    def _release(self, name: str) -> None:
        with self._lock:
            content, written = self._held.pop(name, (None, 0.0))
            path = _path(self.root, name)
            is_fresh = self._clock() - written < FRESH
            with suppress(OSError):
                if content is not None and (is_fresh or exclusive.read(Path(path)) == content):
                    os.unlink(path)

    def _take_over(self, path: Path, content: bytes) -> bool:
        chain = exclusive.chain(path)
        return (
            bool(chain)
            and self._is_stale(path.stem, chain)
            and exclusive.replace(path, chain, content)
        )

    def _is_stale(self, name: str, chain: list[bytes]) -> bool:
        now = self._clock()
        before, since = self._watched.get(name, (None, now))
        if chain != before:
            since = now
            self._watched[name] = chain, now
        return now - since >= self.seconds or _is_orphaned(chain[-1])


def leases(root: Path) -> Iterator[Lease]:
    """The leases in a store, whether their runs are alive or not."""
    for path in sorted((root / FOLDER).glob("*.json")):
        lease = _parsed(path.stem, exclusive.read(path) or b"")
        if lease is not None and path == exclusive.first(path):
            yield lease


def sweep(root: Path, older_than: float, is_finished: Callable[[str], bool]) -> None:
    """Delete what killed runs left: leases of finished tasks, and lonely successors.

    Those younger than older_than seconds stay: a run may be about to compute a damaged one again.
    """
    for path in (root / FOLDER).glob("*.json"):
        first = exclusive.first(path)
        if is_finished(first.stem) or not first.exists():
            disk.delete_if_older(path, older_than)


def _path(root: Path, name: str) -> str:
    # a string: paths are slow to build, and every task has a lease
    return f"{root}/{FOLDER}/{name}.json"


def _parsed(name: str, content: bytes) -> Lease | None:
    """A lease, None if it is only half written."""
    try:
        body: dict[str, Any] = json.loads(content)
        return Lease(name, str(body["host"]), int(body["pid"]), tuple(body["needs"]))
    except (ValueError, KeyError, TypeError):
        return None


def _is_orphaned(content: bytes) -> bool:
    """Whether a process of this machine wrote a lease and has ended."""
    try:
        body: dict[str, Any] = json.loads(content)
        return body["machine"] == machine() and has_ended(int(body["pid"]))
    except (ValueError, KeyError, TypeError):
        return False
