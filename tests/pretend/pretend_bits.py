"""Comparison of results to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def differences(expected: Any, found: Any) -> list[str]:
    """The paths of values that differ, such as "rows.0.outcomes.values"; NaN equals NaN."""
    before, after = dict(_leaves(expected)), dict(_leaves(found))
    return [path for path in before | after if before.get(path) != after.get(path)]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value in nested results with its path."""
    if isinstance(value, Tensor):
        cpu = value.detach().cpu().contiguous()
        yield path, (cpu.dtype, tuple(cpu.shape), cpu.flatten().view(torch.uint8).numpy().tobytes())
        return
    parts = _parts(value)
    if parts is None:
        yield path, np.float64(value).tobytes() if isinstance(value, float) else value
        return
    for name, part in parts.items():
        yield from _leaves(part, f"{path}.{name}" if path else str(name))


def _parts(value: Any) -> dict[Any, Any] | None:
    """The parts of a mapping, a sequence or a dataclass; None for a plain value."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return dict(enumerate(value))
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None
