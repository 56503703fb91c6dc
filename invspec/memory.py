"""Lack of memory: a batch that does not fit is halved, and the size that fits is remembered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

T = TypeVar("T")

# On CPUs batches of any multiple of this run the same kernels. For fewer images, torch computes
# 1 x 1 convolutions with another library.
BLOCK = 16

# words of the errors that say the same as torch.OutOfMemoryError: those of CUDA and its libraries,
# and that of torch on a CPU
WORDS = ("out of memory", "ALLOC_FAILED", "can't allocate memory")

_undivided: ContextVar[bool] = ContextVar("undivided", default=False)


class Limit:
    """The most rows of a batch that fit into memory, None as long as all did.

    is_measured: whether most was estimated before the first batch.
    """

    def __init__(self) -> None:
        self.most: int | None = None
        self.is_measured = False

    def halve(self, rows: int, block: int) -> bool:
        """Remember that rows are too many. Returns False, and forgets all, if none are fewer."""
        if rows <= block:
            # what took the memory may be another task, so the next batch starts anew
            self.most = None
            return False
        self.most = max(block, rows // 2 // block * block)
        return True


class Limits:
    """The limits of a worker, by what is computed.

    share is the part of its device's memory that the worker may take.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        self._limits: defaultdict[tuple[object, ...], Limit] = defaultdict(Limit)

    def of(self, *computation: object) -> Limit:
        """The limit of a computation, such as an attack on nets of one model."""
        return self._limits[computation]


def is_lacking(problem: BaseException) -> bool:
    """Whether an error says that a device's memory is full."""
    if isinstance(problem, torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and any(word in str(problem) for word in WORDS)


def pieces(
    compute: Callable[[slice], T], rows: int, limit: Limit, block: int = 1
) -> Iterator[tuple[slice, T]]:
    """Compute rows of a batch, all at once or, where memory lacks, in pieces.

    Pieces have multiples of block rows, except the last. Yields the rows and the result of each.

    Raises: torch.OutOfMemoryError and the like if a piece of at most block rows does not fit.
    """
    start, done = 0, False
    while not done:
        stop = rows if limit.most is None else min(rows, start + limit.most)
        piece = slice(start, stop)
        try:
            result = compute(piece)
        except RuntimeError as problem:
            if not (is_lacking(problem) and limit.halve(stop - start, block)):
                raise
        else:
            yield piece, result
            start, done = stop, stop >= rows
            continue
        # after the except block, whose exception holds the frames that hold the memory
        release()


class Cache(Protocol):
    """Holds memory that is not needed."""

    def release(self) -> None:
        """Give the memory back."""
        ...


_caches: WeakSet[Cache] = WeakSet()


def frees(cache: Cache) -> None:
    """Have a cache release its memory whenever memory lacks."""
    _caches.add(cache)


def release() -> None:
    """Give memory that caches and torch keep for later back to the device."""
    for cache in list(_caches):
        cache.release()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def in_pieces(compute: Callable[..., Any], *tensors: Tensor, limit: Limit) -> Any:
    """compute(*tensors) of tensors (B, ...), in pieces where memory lacks.

    Results are tensors (B, ...), or tuples or dicts of such. Where they have a graph, or where
    somebody looks at the pass through the net from outside, all rows are computed at once.
    """
    if _undivided.get() or has_graph(*tensors):
        return compute(*tensors)
    parts = pieces(
        lambda rows: compute(*(tensor[rows] for tensor in tensors)), len(tensors[0]), limit, BLOCK
    )
    return _joined([result for _, result in parts])


def has_graph(*tensors: Tensor) -> bool:
    """Whether a result of these tensors has a graph, which keeps all memory of the pass."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _joined(parts: list[Any]) -> Any:
    """The results of consecutive pieces as one result."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, dict):
        names: list[str] = list(first)
        return {name: torch.cat([part[name] for part in parts]) for name in names}
    return tuple(map(torch.cat, zip(*parts, strict=True)))


@contextmanager
def undivided() -> Generator[None, None, None]:
    """Nets compute all rows of a batch in one pass, for those that look at it from outside."""
    token = _undivided.set(True)
    try:
        yield
    finally:
        _undivided.reset(token)


def is_undivided() -> bool:
    """Whether somebody looks at passes through nets from outside."""
    return _undivided.get()


_of_nets: WeakKeyDictionary[nn.Module, Limit] = WeakKeyDictionary()


def observed(compute: Callable[[Tensor], T], net: nn.Module, x: Tensor) -> T:
    """compute(x), which looks at a pass through the net from outside, as in `in_pieces`.

    A net in training sees whole batches: its statistics may hang on them.
    """

    def once(images: Tensor) -> T:
        with undivided():
            return compute(images)

    if has_graph(x) or any(weight.requires_grad for weight in net.parameters()):
        return once(x)
    return in_pieces(once, x, limit=_of_nets.setdefault(net, Limit()))
