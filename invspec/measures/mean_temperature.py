"""The temperature that a model gives itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.measures.pairs import READ, device_of, mean_score


class MeanTemperature(Measure):
    """Mean softmax temperature T(x_adv) of a model that has one, as `temperature` does; of any other model it is 1."""

    clean: bool = Field(default=False, description="of the clean images instead")

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        return mean_score(torch.cat(list(self._temperatures(model, attacked))), judged.get("source", judged["index"]))

    @torch.no_grad()
    def _temperatures(self, model: nn.Module, attacked: Examples) -> Iterator[Tensor]:
        temperature = cast(Callable[[Tensor], Tensor] | None, getattr(model, "temperature", None))
        for batch, found in attacked.batches(READ, "x_adv"):
            x = (batch.x if self.clean else found["x_adv"]).to(device_of(model))
            yield torch.ones(len(x)) if temperature is None else temperature(x).cpu()
