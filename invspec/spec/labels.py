"""Labels, coordinates, and the base of all sections of a spec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from invspec.registry import messages

Scalar = str | float | int | bool
Coords = dict[str, Scalar]

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_WORDS = "a label (a letter, then at most 63 letters, digits, - and _)"


class Section(BaseModel):
    """Base class of all sections of a spec."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _label(value: Any) -> Any:
    if isinstance(value, str) and not LABEL.fullmatch(value):
        raise ValueError(f"expected {_WORDS}, found {messages.shown(value)}")
    return value


def _listed(value: Any) -> Any:
    """A single label counts as a list of one."""
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"expected a label or a list of labels, found {messages.shown(value)}")
    return [value] if isinstance(value, str) else cast(Sequence[Any], value)


_TEXT: dict[str, Any] = {"type": "string"}
_LABEL = {**_TEXT, "pattern": f"^{LABEL.pattern}$", "patternErrorMessage": f"expected {_WORDS}"}
_ONE_OR_MORE = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}

Label = Annotated[str, BeforeValidator(_label), WithJsonSchema(_LABEL)]
Labels = Annotated[
    tuple[str, ...], BeforeValidator(_listed), Field(min_length=1), WithJsonSchema(_ONE_OR_MORE)
]
