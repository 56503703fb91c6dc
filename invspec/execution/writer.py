"""A thread that writes to the store while its worker computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Writer:
    """Writes for one worker, in the order in which it was asked to."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._pending: Future[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is still being written."""
        return self._pending is not None and not self._pending.done()

    def submit(self, write: Callable[[], None]) -> None:
        """Wait as in `wait`, then start to write."""
        self.wait()
        self._pending = self._thread.submit(write)

    def wait(self) -> None:
        """Wait until all is written. Raises what the last write raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
