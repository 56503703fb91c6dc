"""Settings of torch under which a task gives the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import backends

from invspec.ops.switches import PRECISION, TF32, Switch, unchanged

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
# the two settings under which cuBLAS is deterministic, the faster one first
CUBLAS_SETTINGS = (":4096:8", ":16:8")

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
        switch.set()
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def _unchanged(device: torch.device) -> Generator[None]:
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    environment = os.environ.get(CUBLAS)
    try:
        with unchanged(_switches(device)):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        os.environ.pop(CUBLAS, None)
        os.environ.update({} if environment is None else {CUBLAS: environment})


def _switches(device: torch.device) -> tuple[Switch, ...]:
    return (*TF32, *PRECISION, *(CUDNN if device.type == "cuda" else ()))
