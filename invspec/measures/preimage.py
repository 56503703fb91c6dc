"""At which layers attacked images share the activations of the clean ones (Definition 1)."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure, Number
from invspec.ops.norms import size
from invspec.ops.types import SHARES, Norm, Range
from invspec.scoring.preimages import activations, finest, outcome_rows


class Preimage(Measure):
    """Share of attacked images in the pre-images of layers, logits and label of the clean ones.

    A row for each quantity:

        layer NAME        ||F_i(x) - F_i(x_adv)|| <= tolerance for the whole output of that module
        logits            ||F(x) - F(x_adv)|| <= tolerance
        argmax            the label is the same
        inclusion_broken  in one of these but not in the next: impossible at tolerance 0 if each
                          layer determines the next, but a layer may amplify small differences

    If the attack stored exact images, they are compared in float64, by a copy of the net; otherwise
    x_adv is compared in float32, where rounding may separate logits that should be equal. Intervals
    are Wilson's or, for pairs, from a bootstrap over sources, which n then counts, and over shared
    targets.

    Raises: InvspecError where a layer is not a module of the net, does not run or gives no tensors.
    """

    # Version 1 took pairs to be independent of each other.
    version: ClassVar[int] = 2

    layers: tuple[str, ...] = Field(
        default=(),
        description="paths of modules of the net, like backbone.0, from input to output",
    )
    norm: Norm = Field(default="l2", description="norm of the difference: l2, linf or l1")
    tolerance: Number = Field(
        default=1e-6, ge=0, description="largest difference of equal activations, in that norm"
    )

    relative_tolerance: Number | None = Field(
        default=None,
        ge=0,
        description="in place of tolerance: as a share of the size of the clean activations",
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        net, images = finest(model, attacked)
        parts = [self._equal(net, x, x_adv) for x, x_adv in images]
        inside = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        broken = torch.stack([outer & ~inner for outer, inner in pairwise(inside.values())])
        outcomes = inside | {"inclusion_broken": broken.any(0)}
        return Scored(outcome_rows(outcomes, attacked.judged))

    def _equal(self, net: nn.Module, x: Tensor, x_adv: Tensor) -> dict[str, Tensor]:
        """Which examples are in each pre-image, (B,) bool, from the first layer to the label."""
        outputs, outputs_adv = (activations(net, self.layers, images) for images in (x, x_adv))
        equal = {
            name: size(outputs_adv[name] - outputs[name], self.norm) <= self._allowed(outputs[name])
            for name in outputs
        }
        return equal | {"argmax": outputs["logits"].argmax(1) == outputs_adv["logits"].argmax(1)}

    def _allowed(self, output: Tensor) -> Tensor | float:
        """The largest difference from activations (B, d) that counts as none."""
        if self.relative_tolerance is None:
            return self.tolerance
        return self.relative_tolerance * size(output, self.norm)
