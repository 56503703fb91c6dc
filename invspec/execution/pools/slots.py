"""The worker's side of a slot on another machine: it joins a run, then serves tasks as JSON.

Nothing here knows the engine that carries the calls.
"""

from __future__ import annotations

import os
import platform
import queue
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from invspec.errors import InvspecError, first_line
from invspec.execution import disk, wire
from invspec.execution.channel import Channel
from invspec.execution.messages import LAST, Message
from invspec.execution.provenance import versions
from invspec.execution.worker import WorkerConfig, serve
from invspec.registry import cards
from invspec.tasks import Task

# seconds between two progress messages of a task, each of which costs milliseconds
PAUSE = 1.0
# seconds after which another machine surely sees what was written into a shared folder
LAG = 10.0
DATA = "INVSPEC_DATA"


@dataclass(frozen=True)
class Terms:
    """What a worker needs in common with the run. data is the run's data folder, if it has one."""

    versions: Mapping[str, str]
    data: str | None

    @classmethod
    def of_this_process(cls) -> Terms:
        """The terms of a run in this process."""
        return cls(versions(), os.environ.get(DATA))


class Placed(NamedTuple):
    """How a worker joined: its message, a file that it wrote, its node and the GPUs that it got."""

    message: Message
    mark: str
    node: str
    gpus: Sequence[Hashable]


class QueueChannel(Channel):
    """The worker's end of two queues in its process; tasks come as wire.to_json writes them."""

    def __init__(self) -> None:
        self.tasks: queue.Queue[str] = queue.Queue()
        self.messages: queue.Queue[Message] = queue.Queue()
        self._sent = -PAUSE

    def receive(self) -> Task | None:
        """Wait for the next task, as in Channel."""
        return wire.from_json(self.tasks.get())

    def send(self, message: Message) -> None:
        """Put a message into the queue; progress at most once in PAUSE seconds."""
        now = time.monotonic()
        if message[0] == "progress":
            if now - self._sent < PAUSE:
                return
            self._sent = now
        self.messages.put(message)


class Slot:
    """A worker whose methods are called from afar, one at a time."""

    def __init__(self, config: WorkerConfig, terms: Terms) -> None:
        self.config, self.terms, self.channel = config, terms, QueueChannel()

    def join(self) -> tuple[Message, str]:
        """Start to serve. Returns "joined" or "refused", and a new file that the run must see."""
        try:
            mark = admit(self.config, self.terms)
        except (InvspecError, OSError) as problem:
            return ("refused", str(problem)), ""
        # the thread of the calls must be free to stream messages
        threading.Thread(target=self._serve, daemon=True).start()
        return self.channel.messages.get(), str(mark)

    def _serve(self) -> None:
        try:
            serve(self.channel, self.config)
        except Exception as problem:
            # else the run would wait until its patience ends
            self.channel.send(("faulty", f"{type(problem).__name__}: {first_line(problem)}"))

    def perform(self, task: str) -> Iterator[Message]:
        """The messages about a task, to its last one."""
        self.channel.tasks.put(task)
        while (message := self.channel.messages.get())[0] not in LAST:
            yield message
        yield message


def admit(config: WorkerConfig, terms: Terms) -> Path:
    """Take over the run's settings. Returns a new file in the store.

    Raises: InvspecError or OSError if this machine lacks what the run needs.
    """
    host = platform.node()
    check_versions(terms.versions, host)
    for folder in config.registries:
        if not folder.is_dir():
            hint = "--registry must name a folder that every machine sees under the same path"
            raise InvspecError(f"no folder {folder} on {host}", hint=hint)
        cards.add(folder)
    if terms.data is not None:
        # a machine may keep the same files elsewhere
        os.environ.setdefault(DATA, terms.data)
    if not appears(config.root):
        hint = "--store must name a folder that every machine sees under the same path"
        raise InvspecError(f"no folder {config.root} on {host}", hint=hint)
    mark = disk.temporary(config.root, "joined")
    mark.touch()
    return mark


def check_versions(expected: Mapping[str, str], host: str) -> None:
    """Raise InvspecError if this process has other versions than expected."""
    own = versions()
    # an installed package does not know its commit
    known = {name for name in expected if "none" not in (expected[name], own[name])}
    if differing := sorted(name for name in known if own[name] != expected[name]):
        listed = ", ".join(
            f"{name} {own[name][:12]} (the run has {expected[name][:12]})" for name in differing
        )
        hint = "install the same versions on every machine"
        raise InvspecError(f"{host} has {listed}", hint=hint)


def appears(path: Path, seconds: float | None = None) -> bool:
    """Whether a path exists, which a network file system may show late."""
    return disk.appears(path.exists, LAG if seconds is None else seconds)
