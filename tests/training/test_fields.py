"""Numbers that recipes accept."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from invspec.training import fields


@pytest.mark.parametrize(
    ("field", "accepted", "refused"),
    [
        (fields.Share, ["1/8", 1], [0, 1.1]),
        (fields.Epochs, [1], [0, 1.5]),
        (fields.BatchSize, [1], [0]),
        (fields.LearningRate, ["1e-3", 10], [0, -1]),
        (fields.Momentum, [0, 0.99], [1, -0.1]),
        (fields.WeightDecay, [0, "5e-4"], [-1]),
        (fields.MaxGradientNorm, [None, 0.5], [0]),
        (fields.Warmup, [0, 1], [1.1]),
        (fields.Decay, [0.1, 1], [0, 2]),
        (fields.Knots, [[], [[0, "1/2"], [1, 0]]], [[[0, 1, 2]]]),
        (fields.Schedule, ["one_cycle"], ["linear"]),
        (fields.Optimiser, ["adamax"], ["adamw"]),
    ],
)
def test_a_field_accepts_its_range_and_nothing_beyond(
    field: Any, accepted: list[object], refused: list[object]
) -> None:
    adapter = TypeAdapter(field)
    for value in accepted:
        adapter.validate_python(value)
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)
