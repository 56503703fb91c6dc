"""What operations on a CUDA device may mix, and which of them make the host wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor

aten = torch.ops.aten

# The host needs a number, or the size of the result, which only the device knows.
WAITING: frozenset[Any] = frozenset(
    {
        aten._local_scalar_dense,
        aten._linalg_check_errors,
        aten._linalg_eigh,
        aten._linalg_svd,
        aten._unique2,
        aten.bincount,
        aten.equal,
        aten.masked_select,
        aten.nonzero,
        aten.repeat_interleave,
        aten.unique_consecutive,
        aten.unique_dim,
    }
)
INDEXING: frozenset[Any] = frozenset(
    {
        aten.index,
        aten.index_put,
        aten.index_put_,
        aten._index_put_impl_,
        aten._unsafe_index,
        aten._unsafe_index_put,
    }
)
# These reserve memory or read no numbers; views are told by their schema.
WITHOUT_KERNEL: frozenset[Any] = frozenset(
    {aten.empty_like, aten.new_empty, aten.new_empty_strided, aten._local_scalar_dense}
)


def waits(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether the host waits for the device in this operation."""
    return func.overloadpacket in WAITING or _expands_mask(func, args)


def launches(func: Any) -> bool:
    """Whether an operation runs a kernel: views and allocations do not."""
    if func.overloadpacket in WITHOUT_KERNEL:
        return False
    aliases = [result.alias_info for result in func._schema.returns]
    return not any(alias is not None and not alias.is_write for alias in aliases)


def copied_indices(func: Any, args: tuple[Any, ...]) -> int:
    """How many CPU tensors an indexing operation sends to the device."""
    if func.overloadpacket not in INDEXING or args[0].device.type == "cpu":
        return 0
    sent = [index for index in args[1] if index is not None] + [
        value for value in args[2:3] if isinstance(value, Tensor)
    ]
    return sum(tensor.device.type == "cpu" for tensor in sent)


def check_mix(func: Any, args: tuple[Any, ...], tensors: Iterable[Tensor]) -> None:
    """Raise RuntimeError where CUDA would refuse CPU tensors beside tensors on the device.

    CPU tensors of zero dimensions pass as numbers, but cannot receive a result. The indices of a
    tensor on the device may be on the CPU.
    """
    if func.overloadpacket is aten.copy_:
        return
    allowed: set[int] = set()
    if func.overloadpacket in INDEXING and args[0].device.type != "cpu":
        allowed = {id(index) for index in args[1]}
    for tensor in tensors:
        if tensor.device.type == "cpu" and tensor.ndim and id(tensor) not in allowed:
            raise RuntimeError(f"{func}: expected all tensors on one device, found cpu as well")
    written = [
        value
        for argument, value in zip(func._schema.arguments, args, strict=False)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    if any(isinstance(value, Tensor) and value.device.type == "cpu" for value in written):
        raise RuntimeError(f"{func}: the result is on the device, but its place is on the cpu")


def check_generator(generator: torch.Generator | None) -> None:
    """Raise RuntimeError for a CPU generator, which cannot draw on a device."""
    if generator is not None:
        raise RuntimeError(f"expected a generator of the device, found {generator.device}")


def _expands_mask(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether an index is a mask on the device, whose number of true entries is not known."""
    if func.overloadpacket not in INDEXING:
        return False
    indices = cast(list[Tensor | None], args[1])
    masks = [
        index for index in indices if index is not None and index.dtype in (torch.bool, torch.uint8)
    ]
    on_device = any(mask.device.type != "cpu" for mask in masks)
    return on_device and not _fills(func, indices, args)


def _fills(func: Any, indices: list[Tensor | None], args: tuple[Any, ...]) -> bool:
    """Whether one number is written where one mask is true, which needs no indices."""
    if len(args) < 3 or args[2].numel() != 1 or (len(args) > 3 and args[3]):
        return False
    return sum(index is not None for index in indices) == 1
