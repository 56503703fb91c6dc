"""Numbers that may be written as fractions, 8/255, or with an exponent, 1e-3."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from invspec.kinds.units import Unit

_REAL = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FRACTION = re.compile(rf"\s*({_REAL})\s*(?:/\s*({_REAL})\s*)?")


def _fraction(value: Any) -> Any:
    """The value of a string; YAML reads 8/255 and 1e-3 as strings."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, found {str(value).lower()}")
    if not isinstance(value, str):
        return value
    parts = _FRACTION.fullmatch(value)
    above, below = (float(parts[1]), float(parts[2] or 1)) if parts else (0.0, 0.0)
    if below == 0 or not (math.isfinite(below) and math.isfinite(above / below)):
        raise ValueError(f"expected a number or a fraction like 8/255, found {value[:40]!r}")
    return above / below


_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_FRACTION.pattern}$"}]}

Number = Annotated[float, BeforeValidator(_fraction), WithJsonSchema(_SCHEMA)]
Pixels = Annotated[Number, Unit("pixels in [0, 1]")]
Degrees = Annotated[Number, Unit("degrees")]
Confidence = Annotated[Number, Unit("confidence")]
