"""Counts of what a device does, by the line of invspec that asks for it."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal

import invspec

# sync: the host waits for the device. host_copy: the host sends numbers to the device.
Event = Literal["sync", "host_copy", "launch"]
PACKAGE = str(Path(invspec.__file__).parent)


@dataclass
class Counts:
    """How often each event happened at each site, such as "ops/geometry.py:57"."""

    sites: Counter[tuple[Event, str]] = field(default_factory=Counter[tuple[Event, str]])

    def total(self, event: Event) -> int:
        """Number of these events at all sites."""
        return sum(self.at(event).values())

    def at(self, event: Event) -> dict[str, int]:
        """Number of these events at each site."""
        return {site: count for (kind, site), count in self.sites.items() if kind == event}


_active: list[Counts] = []


@contextmanager
def counting() -> Generator[Counts]:
    """Count the events inside the block, of every thread."""
    counts = Counts()
    _active.append(counts)
    try:
        yield counts
    finally:
        _active.remove(counts)


def note(event: Event, times: int = 1) -> None:
    """Count an event at the line of invspec that runs now."""
    if not _active or not times:
        return
    where = site()
    for counts in _active:
        counts.sites[event, where] += times


def site() -> str:
    """The innermost line of invspec that runs now.

    autograd runs the backward pass of a device in a thread of its own; its events belong to the
    line of the main thread that waits for it.
    """
    frame: FrameType | None = sys._getframe(1)
    if threading.current_thread() is not threading.main_thread():
        ident = threading.main_thread().ident
        assert ident is not None
        frame = sys._current_frames().get(ident)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE):
            return f"{path[len(PACKAGE) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
