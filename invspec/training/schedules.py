"""The learning rate as a function of progress."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from pydantic import BaseModel, model_validator

from invspec.errors import Hinted
from invspec.training.fields import (
    Decay,
    Epochs,
    Knots,
    LearningRate,
    Milestones,
    Schedule,
    Warmup,
)


class LearningRateSchedule(BaseModel):
    """Fields of a recipe that set the learning rate, and the rate itself.

    The rate depends only on the share of updates done, so that a resumed training follows the same
    schedule.
    """

    epochs: Epochs = 50
    lr: LearningRate = 0.01
    schedule: Schedule = "constant"
    warmup: Warmup = 0.3
    milestones: Milestones = ()
    decay: Decay = 0.1
    knots: Knots = ()

    @model_validator(mode="after")
    def _milestones_fit(self) -> Self:
        if (self.schedule == "milestones") != bool(self.milestones):
            raise ValueError(
                "expected milestones if and only if schedule is milestones,"
                f" found schedule {self.schedule}, milestones {list(self.milestones)}"
            )
        if list(self.milestones) != sorted({m for m in self.milestones if 0 < m < self.epochs}):
            message = (
                f"milestones {list(self.milestones)} are not increasing epochs below {self.epochs}"
            )
            raise Hinted(message, f"set them with the epochs: {self._scaled()}")
        return self

    def _scaled(self) -> str:
        """Milestones at the same shares of the training as those of its usual number of epochs."""
        usual: int = type(self).model_fields["epochs"].default
        shares = (max(1, round(place * self.epochs / usual)) for place in self.milestones)
        scaled = sorted({place for place in shares if place < self.epochs})
        return f"milestones: {scaled}" if scaled else "schedule: constant, milestones: []"

    @model_validator(mode="after")
    def _knots_fit(self) -> Self:
        if (self.schedule == "piecewise") != bool(self.knots):
            raise ValueError(
                "expected knots if and only if schedule is piecewise,"
                f" found schedule {self.schedule}, {len(self.knots)} knots"
            )
        shares = [share for share, _ in self.knots]
        spans_training = not shares or (shares[0], shares[-1]) == (0, 1)
        if (
            shares != sorted(shares)
            or not spans_training
            or any(factor < 0 for _, factor in self.knots)
        ):
            raise ValueError(
                f"knots are at {shares}; expected shares that increase from 0 to 1, with "
                "factors of 0 or more"
            )
        return self

    def learning_rate(self, progress: float) -> float:
        """The learning rate; progress, in (0, 1), is the share of updates done."""
        return self.lr * self._factor(progress)

    def _factor(self, progress: float) -> float:
        match self.schedule:
            case "constant":
                return 1.0
            case "cosine":
                return (1 + math.cos(math.pi * progress)) / 2
            case "one_cycle" if progress < self.warmup:
                return progress / self.warmup
            case "one_cycle":
                return (1 - progress) / (1 - self.warmup)
            case "milestones":
                # progress is that of mid-update, so the first update after a milestone is beyond it
                return self.decay ** sum(
                    progress * self.epochs > epoch for epoch in self.milestones
                )
            case "exponential":
                return self.decay ** math.floor(progress * self.epochs)
            case "piecewise":
                shares, factors = zip(*self.knots, strict=True)
                return float(np.interp(progress, shares, factors))
