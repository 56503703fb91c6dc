"""The child process that has the pretend device: registering a device cannot be undone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from invspec import cpu  # before torch, so that it can prepare MKL

# isort: split
import torch
from pretend_device import register

P = ParamSpec("P")
T = TypeVar("T")


class Child:
    """Calls functions, which it must be able to import, in the child process."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self.executor = executor

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the function, or its exception."""
        return self.executor.submit(function, *args, **kwargs).result()


@contextmanager
def child() -> Generator[Child]:
    """A child process that lives as long as the block."""
    # spawn: a fork of a process with torch's threads may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=start) as executor:
        yield Child(executor)


def start() -> None:
    """Prepare the child as a worker is prepared, and add the device."""
    assert cpu.ensure_prepared(), "torch was imported before invspec"
    torch.set_num_threads(1)
    register()
