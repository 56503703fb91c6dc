"""Which examples and targets an attack runs on."""

from __future__ import annotations

import pytest

from invspec.kinds import Sample


def test_a_sample_is_counted_one_way() -> None:
    with pytest.raises(ValueError, match="found both: limit 3 and per_class 1"):
        Sample(limit=3, per_class=1)
    with pytest.raises(ValueError, match="valid integer"):
        Sample(limit=True)
