"""Recording on a GPU, as CUDA graphs."""

from __future__ import annotations

import os
from collections.abc import Generator, Hashable
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from invspec.perform.recording import Recorder, Replay, Work

# set to "off" to call nets as they are
VARIABLE = "INVSPEC_GRAPHS"


def recorder_on(device: torch.device) -> Recorder | None:
    """What records the passes of a net on a device; None where passes are not recorded."""
    if device.type != "cuda" or os.environ.get(VARIABLE, "on").lower() == "off":
        return None
    return CudaRecorder(device)


class CudaRecorder:
    """Records the work of one net as CUDA graphs, which share a pool of memory."""

    # graphs whose capture failed. The allocator may still refer to them, so they stay, and this
    # process captures no others
    failed: ClassVar[list[torch.cuda.CUDAGraph]] = []

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    @cached_property
    def _stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self.device)

    def settings(self) -> Hashable:
        """The precision of products, and whether kernels are deterministic."""
        backends: Any = torch.backends
        products: tuple[object, ...] = (backends.cuda.matmul, backends.cudnn)
        name = "allow_tf32"
        if hasattr(backends, "fp32_precision"):
            # since torch 2.9, which refuses the old name where only the new ones were set
            products, name = (backends.cuda.matmul, backends.cudnn.conv), "fp32_precision"
        return (
            *(getattr(owner, name) for owner in products),
            backends.cudnn.deterministic,
            torch.are_deterministic_algorithms_enabled(),
        )

    def rehearse(self, work: Work) -> Tensor:
        """Do the work on the stream of the recordings, and forbid it to wait for the device."""
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            with self._aside():
                return work()
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def record(self, work: Work) -> tuple[Tensor, Replay]:
        """Capture work as a graph."""
        if self.failed:
            raise RuntimeError("an earlier capture in this process failed")
        graph = torch.cuda.CUDAGraph()
        try:
            with self._aside(), self._capturing(graph):
                result = work()
        except BaseException:
            self.failed.append(graph)
            self._stop_allocating()
            raise
        return result, graph.replay

    @contextmanager
    def _aside(self) -> Generator[None]:
        """Work on a stream of its own; captures may not use the default one."""
        with torch.cuda.device(self.device):
            main = torch.cuda.current_stream()
            self._stream.wait_stream(main)
            # also leaves the stream if the capture, which enters it again, cannot
            try:
                with torch.cuda.stream(self._stream):
                    yield
            finally:
                main.wait_stream(self._stream)

    def _capturing(self, graph: torch.cuda.CUDAGraph) -> torch.cuda.graph:
        # errors in this thread only: other threads do not use this device
        return torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local")

    def _stop_allocating(self) -> None:
        """A capture that fails leaves the allocator in its pool, where it never frees its cache."""
        with torch.cuda.device(self.device), suppress(AttributeError, RuntimeError):
            torch._C._cuda_endAllocateToPool(  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
                torch.cuda.current_device(), self._pool
            )
