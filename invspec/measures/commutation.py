"""Whether an attack commutes with a transform of the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.ops.draws import PerExample
from invspec.ops.modules import device_of
from invspec.ops.types import SHARES, Range
from invspec.registry.fields import AttackField
from invspec.scoring.rows import mean, share

BATCH_SIZE = 256

# the two clean images may differ by this much, as resampling rounds
ROUNDING = 1e-5


class Commutation(Measure):
    """Whether an attack A on transformed images T x does what it does on the images x.

    The first attack runs on x, and the second, which is the same, on T x: it has T as `before`. A
    row for each quantity, the first two over all entries and images, where A(x) is x_adv:

        entries   mean share of the entries of an image in which T A(x) equals A(T x)
        images    share of images for which all entries are equal
        carried   share of images for which T A(x) changes the prediction at T x exactly if A(x)
                  changes it at x

    On a net whose logits T leaves as they are, and if T permutes the pixels, all are 1 but for
    rounding: where a gradient is nearly 0, its sign may change.

    Raises: InvspecError if the second attack starts from other images than T x.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    transform: AttackField = Field(description="T, which ignores the model: `before` of the second")
    tolerance: Number = Field(
        default=1e-4, ge=0, description="largest difference of equal entries, in pixels"
    )

    @model_validator(mode="after")
    def _ignores_model(self) -> Self:
        if not self.transform.ignores_model:
            name = type(self.transform).__name__
            raise ValueError(f"transform must ignore the model, and {name} does not")
        return self

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        first, second = examples
        device = device_of(model)
        entries: list[Tensor] = []
        carried: list[Tensor] = []
        for (batch, x_adv), (turned, turned_adv) in zip(
            _attacked(first), _attacked(second), strict=True
        ):
            self._require_transformed(batch, turned)
            moved = self._transformed(batch, x_adv)
            equal = (moved - turned_adv).abs() <= self.tolerance
            entries.append(equal.flatten(1).double().mean(1))
            labels = [
                model(x.to(device)).argmax(1).cpu() for x in (batch.x, x_adv, turned.x, moved)
            ]
            carried.append((labels[1] != labels[0]) == (labels[3] != labels[2]))
        index, same = first.judged.index, torch.cat(entries)
        return Scored(
            [
                mean(same, index, within=SHARES, quantity="entries"),
                share(same == 1, index, quantity="images"),
                share(torch.cat(carried), index, quantity="carried"),
            ]
        )

    def _transformed(self, batch: Batch, x: Tensor) -> Tensor:
        """T of images x (B, C, H, W), which belong to the examples of a batch."""
        rng = PerExample("commutation", batch.index)
        return self.transform.perturb(nn.Identity(), replace(batch, x=x), rng).x_adv

    def _require_transformed(self, batch: Batch, turned: Batch) -> None:
        expected = self._transformed(batch, batch.x)
        if batch.index.equal(turned.index) and torch.allclose(
            expected, turned.x, rtol=0, atol=ROUNDING
        ):
            return
        raise InvspecError(
            "the second attack starts from other images than `transform` makes of those of the "
            "first",
            hint="give the measure as `transform` what the second attack has as `before`",
        )


def _attacked(examples: Examples) -> Iterator[tuple[Batch, Tensor]]:
    """Clean examples with their attacked images (B, C, H, W)."""
    for batch, tensors in examples.batches(BATCH_SIZE, "x_adv"):
        yield batch, tensors["x_adv"]
