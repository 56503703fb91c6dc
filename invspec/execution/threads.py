"""Several CPU threads for operations whose bits do not hang on their number.

A task computes on one thread, because threads that share a sum round it in another way. Most of the
time of a net is spent in operations that share no sum: each output is computed by one thread. These
may use cores that are left idle, each only after it has been proven on tensors of the same shapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from invspec.tasks import Task, Train

aten = torch.ops.aten
BACKWARD = aten.convolution_backward.default
# Products and convolutions, of which a thread computes whole outputs, or else all outputs change;
# and steps that pick or round correctly, so that it does not matter in which loop an element is.
# Functions such as exp are not among them: a vector of the CPU may round them in another way than
# the rest of its share, which a proof on few numbers may miss.
CANDIDATES = frozenset(
    {
        *(aten.convolution.default, BACKWARD),
        *(aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default),
        *(aten.native_batch_norm.default, aten.native_batch_norm_backward.default),
        *(aten._native_batch_norm_legit.default, aten._native_batch_norm_legit.no_stats),
        *(aten.max_pool2d_with_indices.default, aten.max_pool2d_with_indices_backward.default),
        *(aten.avg_pool2d.default, aten.avg_pool2d_backward.default),
        *(aten.relu.default, aten.relu_.default, aten.threshold_backward.default),
        *(aten.clone.default, aten.copy_.default, aten._to_copy.default, aten.sign.default),
    }
)
# the largest operand of an operation that is worth a look
LARGE = 2**14
# A proof takes as long as at most a dozen of the operations that it is about: it waits for the
# 30th, so that tasks which are soon done have none.
RECURRENCES = 30
# its time is taken again after so many, as other programs may start or end
AGAIN = 1000
# signatures of operations to remember
MOST = 10_000
# several threads must take less than this share of the time of one
PAYS = 0.9

Arguments = tuple[Any, ...]
Named = Mapping[str, Any]
# computes an operation on a number of threads
Way = Callable[[Any, Arguments, Named, int], Any]


class Allowance(Protocol):
    """The number of threads that a worker may use. The run changes it at any time."""

    value: int


@dataclass
class Alone:
    """The allowance where no cores are idle."""

    value: int = 1


def own_threads(task: Task) -> int:
    """The number of threads in a task's key."""
    return task.threads if isinstance(task, Train) else 1


class SpareThreads(TorchDispatchMode):
    """Inside this context, operations of this thread use idle cores, and give the same bits.

    An operation is one of CANDIDATES with the shapes, strides and types of its tensors and all
    other arguments. When it recurs, it is computed on noise of these shapes: on one thread, and on
    as many as are allowed. If all bits are equal and it takes less time, it runs on several threads
    from then on; otherwise, and outside operations, the number of threads is 1. Gradients of a
    convolution's weights are sums over the batch, which threads share: the gradient of its input is
    then computed on several threads and that of its weights on one.

    Noise suffices, because the work is divided by shapes, not by values. It is no proof for
    operations that CANDIDATES does not list; these keep one thread.
    """

    def __init__(self, allowance: Allowance | None = None) -> None:
        super().__init__()
        self.allowance = allowance or Alone()
        # the most threads that an operation of the current task has used
        self.used = 1
        self._records: dict[Arguments, Record] = {}

    def during(self, task: Task, device: torch.device) -> AbstractContextManager[Any]:
        """The context of a task. Empty if nothing is to spare, since a look at operations costs.

        So it is for trainings that ask for a number of threads, which may change their bits.
        """
        self.used = 1
        spare = self.allowance.value > 1 and device.type == "cpu" and own_threads(task) == 1
        return self if spare else nullcontext()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Arguments = (), kwargs: Named | None = None
    ) -> Any:
        """Compute an operation."""
        named = kwargs or {}
        threads = self.allowance.value
        if threads < 2 or func not in CANDIDATES or not _is_fit(args):
            return func(*args, **named)
        way = self._way(func, args, named, threads)
        if way is None:
            return func(*args, **named)
        self.used = max(self.used, threads)
        return way(func, args, named, threads)

    def _way(self, func: Any, args: Arguments, named: Named, threads: int) -> Way | None:
        """How to compute an operation on several threads, None if it keeps one."""
        signature = (func, threads, *_signature(args), *_signature(named.items()))
        record = self._records.get(signature, Record())
        if len(self._records) < MOST:
            self._records[signature] = record
        record.count += 1
        if record.count == RECURRENCES:
            record.way = proven(func, args, named, threads)
        if record.way is not None and record.count % AGAIN == RECURRENCES:
            record.pays = _pays(record.way, func, args, named, threads)
        return record.way if record.pays else None


@dataclass
class Record:
    """How often an operation recurred, the proven way to compute it, and whether that is faster."""

    count: int = 0
    way: Way | None = None
    pays: bool = False


def proven(func: Any, args: Arguments, named: Named, threads: int) -> Way | None:
    """The first way that gives the bits of one thread, on noise; None if there is none."""
    try:
        expected = _on_noise(single, func, args, named, 1)
        for way in _ways_of(func, args):
            if _same_bits(_on_noise(way, func, args, named, threads), expected):
                return way
    except RuntimeError:
        # as where memory lacks for a second set of operands
        pass
    return None


def _ways_of(func: Any, args: Arguments) -> list[Way]:
    has_both = func is BACKWARD and args[-1][0] and any(args[-1][1:])
    return [several, weights_on_one] if has_both else [several]


def single(func: Any, args: Arguments, named: Named, threads: int) -> Any:
    """The operation on one thread."""
    return func(*args, **named)


def several(func: Any, args: Arguments, named: Named, threads: int) -> Any:
    """All of the operation on several threads."""
    torch.set_num_threads(threads)
    try:
        return func(*args, **named)
    finally:
        torch.set_num_threads(1)


def weights_on_one(func: Any, args: Arguments, named: Named, threads: int) -> Any:
    """A convolution's backward pass: to its input on several threads, to its weights on one."""
    *operands, (_, weight, bias) = args
    x, _, _ = several(func, (*operands, [True, False, False]), named, threads)
    return x, *func(*operands, [False, weight, bias], **named)[1:]


def _pays(way: Way, func: Any, args: Arguments, named: Named, threads: int) -> bool:
    """Whether a way takes less time. Nothing but time hangs on the answer."""

    def seconds(way: Way) -> float:
        operands, options = _noise((args, dict(named)))
        start = time.perf_counter()
        way(func, operands, options, threads)
        return time.perf_counter() - start

    rounds = [(seconds(way), seconds(single)) for _ in range(2)]
    spent, alone = map(min, zip(*rounds, strict=True))
    return spent < PAYS * alone


def _on_noise(
    way: Way, func: Any, args: Arguments, named: Named, threads: int
) -> tuple[Any, list[Any]]:
    """The results of an operation on noise, and its operands, which it may have written."""
    operands, options = _noise((args, dict(named)))
    return way(func, operands, options, threads), tree_leaves((operands, options))


def _noise(values: Any) -> Any:
    """The same values with noise in place of all floating-point numbers of tensors.

    It is uniform in (0, 1), the same in every call, and lies in memory as the tensors do.
    """
    generator = torch.Generator().manual_seed(0)

    def like(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        steps = zip(value.shape, value.stride(), strict=True)
        extent = 1 + sum((size - 1) * stride for size, stride in steps)
        if not value.dtype.is_floating_point:
            return value.clone()
        noise = torch.rand(extent, generator=generator).to(value.dtype)
        return noise.as_strided(value.shape, value.stride())

    return tree_map(like, values)


def _same_bits(a: Any, b: Any) -> bool:
    def bytes_of(results: Any) -> list[Tensor]:
        tensors = [value for value in tree_leaves(results) if isinstance(value, Tensor)]
        return [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in tensors]

    return all(map(torch.equal, bytes_of(a), bytes_of(b)))


def _is_fit(args: Iterable[Any]) -> bool:
    """Whether an operation has a large operand, and only operands that noise can replace."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    return any(tensor.numel() >= LARGE for tensor in tensors) and all(
        tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_complex()
        for tensor in tensors
    )


def _signature(values: Iterable[Any]) -> Arguments:
    return tuple(
        (value.shape, value.stride(), value.dtype)
        if isinstance(value, Tensor)
        else _signature(value)  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(value, list | tuple)
        else value
        for value in values
    )
