"""Share of correct predictions."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.scoring.rows import share


class Accuracy(Measure):
    """Share of examples whose label is predicted after the attack; after `identity`, the clean accuracy."""

    clean: bool = Field(
        default=False, description="judge the prediction for the clean image instead"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        prediction = attacked.judged["prediction" if self.clean else "prediction_adv"]
        return Scored([share(prediction == attacked.judged["y"], attacked.judged["index"])])
