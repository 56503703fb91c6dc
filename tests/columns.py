"""Judged columns for tests that need only some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from invspec.data import Judged, JudgedPairs


def filled(columns: Mapping[str, Tensor]) -> Judged:
    """The record with these columns (N,), and zeros in the others."""
    size = len(next(iter(columns.values()))) if columns else 0
    record = JudgedPairs if "source" in columns else Judged
    zeros = torch.zeros(size, dtype=torch.int64)
    return record(**{field.name: columns.get(field.name, zeros) for field in fields(record)})
