"""Means of pairs by target class and source class."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.errors import InvspecError


class Cells:
    """Pairs (P,) grouped by the class of their target (row) and of their source (column), K x K."""

    def __init__(self, y_target: Tensor, y: Tensor, classes: int) -> None:
        largest = int(torch.stack([y_target.max(), y.max()]).max())
        if largest >= classes:
            raise InvspecError(f"a pair has class {largest}, the model {classes} logits")
        self.classes, self.place = classes, y_target * classes + y
        self.count = self.place.bincount(minlength=classes**2)

    def weights(self) -> Tensor:
        """Of each pair (P,), so that cells weigh the same."""
        return 1 / self.count[self.place].double()

    def means(self, values: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean of values (P,), weighted (P,) or not, in each cell, (K, K), NaN in an empty one."""
        weights = torch.ones(len(values), dtype=torch.float64) if weights is None else weights
        return (self._sum(weights * values.double()) / self._sum(weights)).view(
            self.classes, self.classes
        )

    def _sum(self, values: Tensor) -> Tensor:
        return torch.zeros(self.classes**2, dtype=torch.float64).index_add_(0, self.place, values)
