"""Field types of recipes, so that a defence can change a default without repeating the rest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from invspec.kinds import Number, Precision

OptimiserName = Literal["sgd", "adam", "adamax"]
ScheduleName = Literal["constant", "cosine", "one_cycle", "milestones", "exponential", "piecewise"]
PrecisionName = Literal[Precision, "auto"]
Share = Annotated[Number, Field(gt=0, le=1)]

Epochs = Annotated[int, Field(ge=1, description="passes over the training examples")]
BatchSize = Annotated[int, Field(ge=1, description="examples per update")]
Optimiser = Annotated[OptimiserName, Field(description="sgd, adam or adamax")]
LearningRate = Annotated[Number, Field(gt=0, description="learning rate; a schedule scales it")]
Momentum = Annotated[
    float,
    Field(ge=0, lt=1, description="momentum of sgd; adam and adamax use betas 0.9, 0.999"),
]
WeightDecay = Annotated[
    Number, Field(ge=0, description="coefficient of half the squared norm of all weights")
]
MaxGradientNorm = Annotated[
    Number | None,
    Field(gt=0, description="rescale the gradient of all weights to at most this l2 norm"),
]
Schedule = Annotated[
    ScheduleName,
    Field(
        description="how lr changes: constant, cosine (to 0), one_cycle (linearly up, then down to "
        "0), milestones (times decay after each), exponential (times decay after every epoch) or "
        "piecewise (linear between knots)"
    ),
]
Warmup = Annotated[
    float, Field(ge=0, le=1, description="schedule one_cycle: share of the updates before the peak")
]
Milestones = Annotated[
    tuple[int, ...], Field(description="schedule milestones: epochs after which lr drops")
]
Decay = Annotated[
    Number, Field(gt=0, le=1, description="schedules milestones, exponential: factor of each drop")
]
Knots = Annotated[
    tuple[tuple[Number, Number], ...],
    Field(description="schedule piecewise: pairs of the share of updates and the factor of lr"),
]
Dequantise = Annotated[
    bool,
    Field(
        description="add uniform noise u that fills the gaps between 8-bit levels: "
        "(255 x + u) / 256"
    ),
]
