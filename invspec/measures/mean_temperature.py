"""The softmax temperature that a model chooses for an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.ops.modules import device_of
from invspec.ops.types import MAGNITUDES, Range
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.rows import mean_of_pairs


class MeanTemperature(Measure):
    """Mean softmax temperature T(x_adv) of a model that has one, such as `temperature`; else 1."""

    clean: bool = Field(default=False, description="measure the clean images instead")

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        temperature = cast(Callable[[Tensor], Tensor] | None, getattr(model, "temperature", None))
        if temperature is None:
            return Scored([mean_of_pairs(torch.ones(len(judged.unit)), judged)])
        with torch.no_grad():
            parts = [temperature(x.to(device_of(model))).cpu() for x in self._images(attacked)]
        return Scored([mean_of_pairs(torch.cat(parts), judged)])

    def _images(self, attacked: Examples) -> Iterator[Tensor]:
        for batch, tensors in attacked.batches(BATCH_SIZE, *(() if self.clean else ("x_adv",))):
            yield tensors.get("x_adv", batch.x)
