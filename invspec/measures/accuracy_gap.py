"""How much accuracy an attack costs."""

from __future__ import annotations

import math
from statistics import NormalDist

from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure


class AccuracyGap(Measure):
    """Accuracy before the attack less accuracy after it, on the same examples; negative where the attack helps.

    After random_rotation it is the accuracy that rotated images lose. Each example counts 1 where it was right before
    only, -1 where it is right after only, else 0. The interval is Agresti and Min's (2005) for a difference of paired
    shares: Wald's, after half an example has been added to each of the four outcomes.
    """

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        before, after = judged["prediction"] == judged["y"], judged["prediction_adv"] == judged["y"]
        each = before.long() - after.long()
        return Scored([difference(each)], {"each": each.float(), "index": judged["index"].long()})


def difference(each: Tensor, level: float = 0.95) -> Row:
    """Mean of values (N,) of -1, 0 and 1 with the interval of Agresti and Min (2005).

    Raises: InvspecError where there is no value.
    """
    if not len(each):
        raise InvspecError("a difference of shares of no examples")
    n, ups, downs = len(each), int((each == 1).sum()), int((each == -1).sum())
    centre = (ups - downs) / (n + 2)
    variance = ((ups + downs + 1) / (n + 2) - centre**2) / (n + 2)
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance)
    value = (ups - downs) / n
    return Row(value, n, max(-1.0, min(centre - half, value)), min(1.0, max(centre + half, value)))
