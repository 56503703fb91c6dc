"""A split of image files that are decoded when a batch is read."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invspec.data import Batch, LazySplit
from invspec.files.decoding import decoded
from invspec.files.listing import Listing

# Number of batches that are decoded ahead of the one in use.
BATCHES_AHEAD = 2

# Not every system can tell which cores this process may use.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

THREADS = min(8, CORES)


@dataclass(frozen=True)
class StreamedSplit(LazySplit):
    """The images of a listing at index (N,), as pixels (3, size, size), decoded as they are read.

    `threads` threads decode up to BATCHES_AHEAD batches in advance; this does not change any pixel.
    """

    images: Listing
    size: int
    resize: int
    threads: int = THREADS

    @classmethod
    def of(cls, images: Listing, size: int, resize: int) -> StreamedSplit:
        """All images of a listing."""
        return cls(torch.arange(len(images)), images, size, resize)

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.images.y[self.index].to(self.device)

    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The batch at each chunk of positions, while the next ones are being decoded."""
        chunks = list(chunks)
        for positions, pixels in zip(chunks, self._pixels(chunks), strict=True):
            index = self.index[positions]
            # divided on the device, as by TensorSplit: GPU and CPU divide by 255 differently
            x = pixels.permute(0, 3, 1, 2).contiguous().to(self.device) / 255
            yield Batch(x, self.images.y[index].to(self.device), index, self.bounds)

    def _pixels(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """(B, size, size, 3) uint8 for each chunk of positions, in order."""
        pool = ThreadPoolExecutor(self.threads)
        waiting: deque[Sequence[Future[NDArray[np.uint8]]]] = deque()
        try:
            for positions in chunks:
                index = self.index[positions].tolist()
                waiting.append([pool.submit(self._decoded, position) for position in index])
                if len(waiting) > BATCHES_AHEAD:
                    yield self._stacked(waiting.popleft())
            while waiting:
                yield self._stacked(waiting.popleft())
        finally:
            # a reader that stops early does not wait for images that are not needed
            pool.shutdown(cancel_futures=True)

    def _decoded(self, position: int) -> NDArray[np.uint8]:
        return decoded(self.images.path(position), self.size, self.resize)

    def _stacked(self, images: Sequence[Future[NDArray[np.uint8]]]) -> Tensor:
        pixels = np.empty((len(images), self.size, self.size, 3), np.uint8)
        for row, image in enumerate(images):
            pixels[row] = image.result()
        return torch.from_numpy(pixels)
