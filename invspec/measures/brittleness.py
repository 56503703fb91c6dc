"""How soon the confidence in the true class falls around an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Pixels
from invspec.ops.draws import PerExample
from invspec.ops.norms import per_example, size
from invspec.ops.types import SHARES
from invspec.scoring.pairs import READ, device_of
from invspec.scoring.rows import mean_of_pairs

Size = Annotated[Pixels, Field(ge=0, le=1)]


class Brittleness(Measure):
    """Mean confidence in the true class at x + delta, by the linf size of delta; 10 classes leave 0.1 to chance.

    direction noise: a random sign for every pixel, the same at all sizes and for all models, since they are drawn from
    the example alone. direction attack: the attack's own perturbation x_adv - x, scaled to that size whatever its
    length; an image that the attack left alone stays. Both are cut off at the ends of the pixel range.

    A row for each of sizes, told apart by linf. With `size` there is one row, of that size, and each and index, so that
    models can be compared image by image. Intervals are a bootstrap's over images, or over sources where the attack is
    on pairs.

    Raises: InvspecError where no example is correctly classified.
    """

    direction: Literal["noise", "attack"] = Field(
        default="noise", description="random signs, or the attack's own shape"
    )
    sizes: tuple[Size, ...] = Field(
        default=(0.0, 0.0025, 0.005, 0.01, 0.02, 0.03),
        min_length=1,
        description="linf sizes of delta, a row each",
    )
    size: Size | None = Field(default=None, description="a single linf size, instead")
    among: Literal["correct", "all"] = Field(
        default="correct", description="the correctly classified, or all examples"
    )

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        if len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"sizes {list(self.sizes)} has one of them twice")
        return self

    def smoke(self) -> Self:
        """Among all examples, since a net of one epoch may have none right."""
        return self.model_copy(update={"among": "all"})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        kept = (judged["prediction"] == judged["y"]) | (self.among == "all")
        if not kept.any():
            raise InvspecError(
                "no example is classified correctly",
                hint="say among: all, or train the model longer",
            )
        sizes = self.sizes if self.size is None else (self.size,)
        found = torch.cat(list(self._confidences(model, attacked, sizes)))[kept].unbind(1)
        unit = judged.get("source", judged["index"])[kept]
        if self.size is not None:
            return Scored([mean_of_pairs(found[0], unit, SHARES)])
        rows = [
            mean_of_pairs(values, unit, SHARES, linf=linf)
            for values, linf in zip(found, sizes, strict=True)
        ]
        return Scored(rows)

    @torch.no_grad()
    def _confidences(
        self, model: nn.Module, attacked: Examples, sizes: tuple[float, ...]
    ) -> Iterator[Tensor]:
        """Confidence in the true class, batch by batch, (B, number of sizes)."""
        device = device_of(model)
        for batch, tensors in attacked.batches(
            READ, *(("x_adv",) if self.direction == "attack" else ())
        ):
            x, y, shape = (
                one.to(device) for one in (batch.x, batch.y, self._shape(batch, tensors))
            )
            moved = ((x + linf * shape).clamp(*batch.bounds) for linf in sizes)
            yield torch.stack(
                [model(one).softmax(1).gather(1, y[:, None])[:, 0].cpu() for one in moved], dim=1
            )

    def _shape(self, batch: Batch, tensors: dict[str, Tensor]) -> Tensor:
        """A perturbation of linf size 1 for each image, (B, C, H, W), or 0 where the attack's is."""
        if self.direction == "noise":
            drawn = PerExample("brittleness", batch.index).uniform(tuple(batch.x.shape))
            return torch.where(drawn < 0.5, -1.0, 1.0)
        delta = tensors["x_adv"] - batch.x
        length = size(delta, "linf")
        return delta / per_example(length.where(length > 0, 1.0), delta)
