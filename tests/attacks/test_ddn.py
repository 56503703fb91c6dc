"""DDN: invalid fields, and the sphere on a linear net."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from invspec.attacks.ddn import DDN


@pytest.mark.parametrize(
    "fields",
    [{"norm": "linf"}, {"gamma": 1.0}, {"levels": 1}, {"init_eps": 0.0}, {"refine": -1}],
    ids=str,
)
def test_ddn_refuses_invalid_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DDN.model_validate(fields)
