"""Numbers that may be written as fractions, 8/255, or with an exponent, 1e-3."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from invspec.kinds.units import Unit

_REAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


def _pattern(sign: str) -> str:
    """The pattern of a number or a fraction; its groups are the numbers above and below."""
    return rf"\s*({sign}{_REAL})\s*(?:/\s*({sign}{_REAL})\s*)?"


_FRACTION = re.compile(_pattern("[-+]?"))

# Patterns of text for JSON Schemas.
FRACTION, NON_NEGATIVE = (f"^{_pattern(sign)}$" for sign in ("[-+]?", r"\+?"))


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


class _OrText:
    """In the JSON Schema of a number: it may be text, too. Its limits are kept."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "type": ["number", "string"], "pattern": FRACTION}


Number = Annotated[float, BeforeValidator(_fraction), _OrText()]
Pixels = Annotated[Number, Unit("pixels in [0, 1]")]
Degrees = Annotated[Number, Unit("degrees")]
Confidence = Annotated[Number, Unit("confidence")]
