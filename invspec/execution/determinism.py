"""Settings of torch under which a task gives the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import backends

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
# the two settings under which cuBLAS is deterministic, the faster one first
CUBLAS_SETTINGS = (":4096:8", ":16:8")


class Switch(NamedTuple):
    """An attribute of torch and the value that it has while a task runs."""

    owner: Any
    name: str
    value: Any


# Products of float32 have old switches and newer ones; a plug-in may have set either. The old ones
# come first, because setting them changes newer ones, too.
TF32 = (
    Switch(backends.cuda.matmul, "allow_tf32", False),
    Switch(backends.cudnn, "allow_tf32", False),
)
# general ones first, because each sets what is under it; torch before 2.9 has none of them
PRECISION = tuple(
    Switch(owner, "fp32_precision", "ieee")
    for owner in (
        *(backends, backends.cudnn, backends.mkldnn, backends.cuda.matmul),
        *(getattr(backends.cudnn, name, None) for name in ("conv", "rnn")),
        *(getattr(backends.mkldnn, name, None) for name in ("matmul", "conv", "rnn")),
    )
    if hasattr(owner, "fp32_precision")
)
CUDNN = (
    # the benchmark may choose another algorithm, with other rounding, each time
    Switch(backends.cudnn, "benchmark", False),
    Switch(backends.cudnn, "deterministic", True),
    # deterministic mode would fill every new tensor, to make reads of uninitialised memory repeat
    Switch(torch.utils.deterministic, "fill_uninitialized_memory", False),
)


@contextmanager
def reproducible(device: torch.device) -> Generator[None]:
    """Compute the same bits each time. The settings of before are restored at the end.

    A task uses one CPU thread, unless its key names another number, so that the number of workers
    changes no result, and computes products of float32 in float32. On a GPU it uses deterministic
    kernels. Operations that have none run all the same, and torch warns of them: an error would
    rule out nets with adaptive pooling, such as VGG, and gradients through rotations and resized
    images.
    """
    with _unchanged(device):
        if device.type == "cuda" and os.environ.get(CUBLAS) not in CUBLAS_SETTINGS:
            # read when CUDA starts
            os.environ[CUBLAS] = CUBLAS_SETTINGS[0]
        settle(device)
        yield


def settle(device: torch.device, threads: int = 1) -> None:
    """Apply the settings. A worker does so before each task, because plug-ins may change them.

    As many threads run as asked for, even on fewer cores: their number decides on the bits.
    """
    torch.set_num_threads(threads)
    for switch in _switches(device):
        setattr(switch.owner, switch.name, switch.value)
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def _unchanged(device: torch.device) -> Generator[None]:
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    environment = os.environ.get(CUBLAS)
    values = [(switch, _value(switch)) for switch in _switches(device)]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        os.environ.pop(CUBLAS, None)
        os.environ.update({} if environment is None else {CUBLAS: environment})
        for switch, value in values:
            if value is not None:
                setattr(switch.owner, switch.name, value)


def _switches(device: torch.device) -> tuple[Switch, ...]:
    return (*TF32, *PRECISION, *(CUDNN if device.type == "cuda" else ()))


def _value(switch: Switch) -> Any:
    """None if it cannot be read: torch refuses the old switches where the newer ones differ."""
    try:
        return getattr(switch.owner, switch.name)
    except RuntimeError:
        return None
