"""Means of pairs by the class of their target and of their source."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.errors import InvspecError


class ClassPairs:
    """Pairs (P,) grouped by the class of their target (row) and of their source (column), K x K.

    Raises: InvspecError where a pair has a class without a logit.
    """

    def __init__(self, y_target: Tensor, y: Tensor, classes: int) -> None:
        largest = int(torch.stack([y_target.max(), y.max()]).max())
        if largest >= classes:
            raise InvspecError(
                f"a pair has class {largest}, but the model has {classes} logits",
                hint="train a model with as many logits as the data set has classes",
            )
        self.classes, self.place = classes, y_target * classes + y
        self.count = self.place.bincount(minlength=classes**2)

    def weights(self) -> Tensor:
        """The weight of each pair (P,) that gives all pairs of classes the same weight."""
        return 1 / self.count[self.place].double()

    def means(self, values: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean of values (P,), weighted (P,) or not, for each pair of classes: (K, K).

        NaN where there is no pair of these classes.
        """
        weights = torch.ones(len(values), dtype=torch.float64) if weights is None else weights
        # without pairs the mean is 0 / 0, NaN
        means = self._sum(weights * values.double()) / self._sum(weights)
        return means.view(self.classes, self.classes)

    def _sum(self, values: Tensor) -> Tensor:
        return torch.zeros(self.classes**2, dtype=torch.float64).index_add_(0, self.place, values)
