"""Fields that training recipes share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from invspec.kinds import Number

OptimiserName = Literal["sgd", "adam", "adamax"]


ScheduleName = Literal["constant", "cosine", "one_cycle", "milestones", "exponential", "piecewise"]


Precision = Literal["float32", "bfloat16"]


Epochs = Annotated[int, Field(ge=1, description="passes over the training examples")]


BatchSize = Annotated[int, Field(ge=1, description="examples per update")]


Optimiser = Annotated[OptimiserName, Field(description="sgd, adam or adamax")]


LearningRate = Annotated[
    Number, Field(gt=0, description="learning rate; the highest, where a schedule changes it")
]


Schedule = Annotated[
    ScheduleName,
    Field(
        description="course of lr: constant, cosine (to 0), one_cycle (straight up, straight down to 0), milestones, "
        "exponential (times decay after every epoch), or piecewise (straight from knot to knot)"
    ),
]


Share = Annotated[Number, Field(gt=0, le=1)]


Decay = Annotated[
    Number, Field(gt=0, le=1, description="schedules milestones, exponential: factor of each drop")
]
