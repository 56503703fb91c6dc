"""Fields that attacks share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

EpsSpace = Literal["pixel", "standardised"]


Label = Annotated[
    Literal["true", "predicted"], BeforeValidator(lambda value: "true" if value is True else value)
]
