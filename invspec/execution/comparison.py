"""How stored values differ from those computed again, to the rounding of another machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

# Results of other machines differ in their last bits.
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4, "equal_nan": True}


def close(first: Tensor, second: Tensor) -> Tensor:
    """Where two columns are equal, (B,) bool; numbers to rounding."""
    if not first.is_floating_point():
        return first == second
    return torch.isclose(first, second, **CLOSE)


def unequal(where: str, computed: Any, stored: Any) -> Iterator[str]:
    """How a value of JSON differs from the computed one."""
    if isinstance(computed, dict) and isinstance(stored, dict):
        ours, theirs = cast(dict[str, Any], computed), cast(dict[str, Any], stored)
        for name in sorted(set(ours) | set(theirs)):
            yield from unequal(f"{where}: {name}", ours.get(name), theirs.get(name))
    elif isinstance(computed, list) and isinstance(stored, list):
        items, others = cast(list[Any], computed), cast(list[Any], stored)
        if len(items) != len(others):
            yield f"{where}: {len(others)} entries stored, computed {len(items)}"
        for place, (ours, theirs) in enumerate(zip(items, others, strict=False)):
            yield from unequal(f"{where}: {place}", ours, theirs)
    elif not _same(computed, stored):
        yield f"{where}: stored {stored!r}, computed {computed!r}"


def _same(computed: Any, stored: Any) -> bool:
    if isinstance(computed, float) and isinstance(stored, float | int):
        near = math.isclose(computed, stored, rel_tol=CLOSE["rtol"], abs_tol=CLOSE["atol"])
        return near or computed == stored or (math.isnan(computed) and math.isnan(stored))
    return type(computed) is type(stored) and computed == stored


def unequal_tensors(name: str, computed: Tensor, stored: Tensor) -> Iterator[str]:
    """How a stored tensor differs from the computed one."""
    if (computed.shape, computed.dtype) != (stored.shape, stored.dtype):
        yield f"{name}: stored {_form(stored)}, computed {_form(computed)}"
    elif not (near := close(computed, stored)).all():
        yield f"{name}: {int((~near).sum()):,} of {near.numel():,} numbers differ"


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
