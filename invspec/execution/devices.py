"""The devices of this machine that a run can use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import cycle, islice

import torch

from invspec.errors import InvspecError, SpecError

# such tasks take milliseconds
SPARES = 2

SUPPORTED = ("cpu", "cuda")
OTHERS = "invspec is made for CPUs and for GPUs with CUDA"
# why a kind of device is refused
LACKS = {"mps": "Apple's GPUs have no float64, in which geometry and statistics are computed"}


def devices(names: str | None, workers: int | None, per_device: int = 1) -> tuple[str, ...]:
    """The devices to run on, one entry per worker.

    names is a list like "cuda:0,cuda:1"; without it, workers is the number of workers, which take
    the GPUs in turn. The default is per_device workers on every GPU or, if there is none, one CPU
    worker per core.
    """
    if names is not None:
        listed = tuple(name.strip() for name in names.split(","))
        for name in listed:
            _check_device(name)
        return listed if set(listed) == {"cpu"} else listed * per_device
    if torch.cuda.is_available():
        cards = tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))
        return tuple(islice(cycle(cards), workers or len(cards) * per_device))
    return ("cpu",) * (workers or cores())


def spares(devices: Sequence[str]) -> int:
    """The number of CPU workers beside those of GPUs, for tasks that need no device."""
    if all(device == "cpu" for device in devices):
        return 0
    return max(0, min(SPARES, cores() - len(devices)))


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_unsupported(device: torch.device) -> None:
    """Raises: InvspecError for a device on which nothing can be computed."""
    if device.type not in SUPPORTED:
        message = f"{device.type} cannot be used: {LACKS.get(device.type, OTHERS)}"
        raise InvspecError(message, hint="run on the CPU or a CUDA GPU; on the CPU: net.cpu()")


def _check_device(name: str) -> None:
    kind = name.partition(":")[0]
    if kind in LACKS:
        hint = "leave --devices out: a worker then runs on each CPU core"
        raise SpecError(f"{kind} cannot be used: {LACKS[kind]}", where="--devices", hint=hint)
    visible = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    # plain "cuda" is torch's current GPU
    known = [*visible, "cuda"] if len(visible) > 1 else visible
    if name not in known:
        hint = f"this machine has {', '.join(visible)}"
        raise SpecError(f"no device {name!r}", where="--devices", hint=hint)
