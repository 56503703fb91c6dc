"""How far decoding what a bijection encoded ends from where it began."""

from __future__ import annotations

import copy
import math
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Bijective, Measure
from invspec.scoring.pairs import READ, device_of
from invspec.scoring.rows import exact, mean_of_pairs

Precision = Literal["float64", "float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}


class InversionError(Measure):
    """The largest difference of a pixel between a clean image x and decode(encode(x)), in several precisions.

    Weights and pixels are rounded to the precision first, and the error counts from there: what is left is the net's.
    Two rows for each precision, the mean over examples and largest_<precision>, the largest of all examples. Means have
    the interval of a bootstrap over sources (over examples, where they are not pairs); a largest describes the images
    at hand, so that its interval is the value itself.

    Raises: InvspecError where an image comes back with pixels that are not finite.
    """

    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] = Field(
        default=("float64", "float32", "bfloat16"),
        description="to compute in: some of float64, float32, bfloat16",
    )

    @property
    def accepts(self) -> type:
        return Bijective

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        source = attacked.judged.get("source", attacked.judged["index"])
        rows: list[Row] = []
        for precision in self.precisions:
            errors = inversion_errors(model, attacked, DTYPES[precision])
            if not errors.isfinite().all():
                raise InvspecError(
                    f"decoding overflows in {precision} for {int((~errors.isfinite()).sum())} of {len(errors)} images",
                    hint=f"leave {precision} out of precisions",
                )
            rows += [
                mean_of_pairs(errors, source, (0.0, math.inf), quantity=precision),
                exact(errors.max().item(), len(source.unique()), quantity=f"largest_{precision}"),
            ]
        return Scored(rows)


@torch.no_grad()
def inversion_errors(model: nn.Module, examples: Examples, dtype: torch.dtype) -> Tensor:
    """max |decode(encode(x)) - x| over the pixels of every clean image, (N,) float64, with all numbers of a dtype."""
    device, net = device_of(model), copy.deepcopy(model).to(dtype)
    found: list[Tensor] = []
    for batch in examples.clean.batches(READ):
        x = batch.x.to(device, dtype)
        again = cast(Bijective, net).decode(*cast(Bijective, net).encode(x))
        found.append((again.double() - x.double()).abs().flatten(1).amax(1).cpu())
    return torch.cat(found)
