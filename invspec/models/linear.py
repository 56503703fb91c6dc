"""The linear classifier, for which many results have closed forms."""

from __future__ import annotations

import math

from torch import nn

from invspec.kinds import Model
from invspec.ops.types import Shape


class Linear(Model):
    """One affine map from the flattened pixels to the logits."""

    def build(self, shape: Shape, classes: int) -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))
