"""This machine, and which of its processes are alive."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """A name for this start of this machine and, in a container, for its own process numbers."""
    parts = [platform.node()]
    # Linux only
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def has_ended(pid: int) -> bool:
    """Whether this machine has no process with that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # a process of another user
        pass
    return False
