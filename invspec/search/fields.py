"""Types of fields that several attacks share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

# units of eps: pixels of [0, 1], or those of the model's standardised input
EpsSpace = Literal["pixel", "standardised"]

# the label to attack; YAML 1.1 reads an unquoted `true` as a boolean
Label = Annotated[
    Literal["true", "predicted"], BeforeValidator(lambda value: "true" if value is True else value)
]

# passes whose mean stands for one pass
Eot = Annotated[
    int | None,
    Field(
        ge=1,
        description="passes averaged into one, for nets that draw random numbers; default: 1",
    ),
]

# number of other classes that a minimum-norm attack targets one by one
Rivals = Annotated[
    int, Field(ge=0, description="number of likeliest other classes, each also targeted on its own")
]
