"""The error of decoding what a bijection encoded."""

from __future__ import annotations

import copy
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Bijective, Measure
from invspec.ops.modules import device_of
from invspec.ops.types import MAGNITUDES, Range
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.rows import exact, mean_of_pairs

Precision = Literal["float64", "float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}


class InversionError(Measure):
    """The largest difference between entries of x and decode(encode(x)), in several precisions.

    x are clean images. Weights and pixels are rounded to the precision first, and the error is
    measured from the rounded pixels, so that it is due to the net alone. Two rows per precision:
    the mean over examples, and largest_<precision>, the maximum. Means have a bootstrap interval
    over sources (over examples, if they are not pairs). A maximum describes these examples only;
    its interval has no width.

    Raises: InvspecError where decoding gives pixels that are not finite.
    """

    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] = Field(
        default=("float64", "float32", "bfloat16"),
        description="precisions to compute in: any of float64, float32, bfloat16",
    )

    @property
    def accepts(self) -> type:
        return Bijective

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        rows: list[Row] = []
        for precision in self.precisions:
            errors = inversion_errors(model, attacked, DTYPES[precision])
            if overflows := int((~errors.isfinite()).sum()):
                raise InvspecError(
                    f"decoding overflows in {precision} for {overflows} of {len(errors)} images",
                    hint=f"remove {precision} from precisions",
                )
            largest, n = errors.max().item(), len(judged.unit.unique())
            rows += [
                mean_of_pairs(errors, judged, MAGNITUDES, quantity=precision),
                exact(largest, n, quantity=f"largest_{precision}"),
            ]
        return Scored(rows)


@torch.no_grad()
def inversion_errors(model: nn.Module, examples: Examples, dtype: torch.dtype) -> Tensor:
    """max |decode(encode(x)) - x| over the entries of each clean image, computed in dtype.

    Returns (N,) float64.
    """
    # a copy, because `to` changes a net in place
    device, net = device_of(model), copy.deepcopy(model).to(dtype)
    errors: list[Tensor] = []
    for batch in examples.clean.batches(BATCH_SIZE):
        x = batch.x.to(device, dtype)
        decoded = cast(Bijective, net).decode(*cast(Bijective, net).encode(x))
        # float64, so that the difference itself is not rounded to dtype
        errors.append((decoded.double() - x.double()).abs().flatten(1).amax(1).cpu())
    return torch.cat(errors)
