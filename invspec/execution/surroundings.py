"""What a result was computed with beside invspec and torch: Python, packages, CPU, memory."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("numpy", "torchvision")
ROOT = Path(__file__).parents[2]
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


@cache
def facts() -> dict[str, Any]:
    """Python, packages, CPU, operating system, and whether the checkout has uncommitted changes.

    What cannot be known is left out.
    """
    edited = is_edited(ROOT)
    return {
        "python": platform.python_version(),
        **_packages(),
        "cpu": cpu_model(),
        "os": platform.platform(terse=True),
        **({} if edited is None else {"edited": edited}),
    }


def _packages() -> dict[str, str]:
    facts: dict[str, str] = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            facts[name] = importlib.metadata.version(name)
    return facts


def cpu_model() -> str:
    """The name of the CPU, or of its architecture where the system does not tell the name."""
    # Linux only
    with suppress(OSError):
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        ):
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()


def is_edited(root: Path) -> bool | None:
    """Whether a git checkout has uncommitted changes of its tracked files; None if unknown."""
    if not (root / ".git").exists():
        return None
    # no locks, because another git may be at work
    words = ["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]
    paths = ["--", "invspec", "registry"]
    try:
        status = subprocess.run(
            [*words, *paths], cwd=root, capture_output=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(status.stdout.strip())


# ─ memory ───────────────────────────────────────────────────────────────────────────────────────


def begin_peak(device: torch.device) -> None:
    """Start to measure the peak memory of this process and, on a GPU, of its tensors."""
    # Linux only: 5 resets the peak alone
    with suppress(OSError):
        CLEAR.write_text("5")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> dict[str, int]:
    """Bytes of memory at the peak; where it cannot be reset, since the process began."""
    host = {"peak_memory": bytes_} if (bytes_ := _host_peak()) else {}
    if device.type == "cuda":
        return {**host, "peak_device_memory": torch.cuda.max_memory_allocated(device)}
    return host


def _host_peak() -> int:
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # in kilobytes, except on macOS
    return most if sys.platform == "darwin" else most * 1024
