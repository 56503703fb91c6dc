"""The two changes of Theorem 1: a small shift against the class, and a swap of neighbours that ignores it."""

from __future__ import annotations

import math

from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.contrast import MEAN, contrast, signed
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example


class MeanShift(Attack):
    """Move all Gaussian coordinates of `shuffled_gaussians` to the means of the other class: the theorem's A.

    Of d pairs the first coordinate moves by -6 Y / sqrt(d) and the second by 6 Y / sqrt(d), where Y is 1 for label 1
    and -1 for any other: an linf perturbation of size 6 / sqrt(d) that depends on the true label and on no model.
    """

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        length = batch.x[0].numel()
        shift = (
            -2
            * MEAN
            / math.sqrt(max((length - 1) // 2, 1))
            * contrast(length).to(batch.x).view_as(batch.x[0])
        )
        x_adv = batch.x + per_example(signed(batch.y).to(batch.x), batch.x) * shift
        return Perturbed.costing(x_adv.clamp(*batch.bounds), forwards=0, backwards=0)


class PairSwap(Attack):
    """Swap the coordinates 1 and 2, 3 and 4, and so on, all of an example or, as often, none: the theorem's r.

    One coin an example, the same for every model. Coordinate 0 stays, as does a last one without partner.
    """

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        flat, swapped = batch.x.flatten(1), batch.x.flatten(1).clone()
        end = 1 + 2 * ((flat.shape[1] - 1) // 2)
        swapped[:, 1:end:2], swapped[:, 2:end:2] = flat[:, 2:end:2], flat[:, 1:end:2]
        coin = rng.named("pair_swap").integers(2, (len(batch),)).bool()
        x_adv = swapped.where(per_example(coin, flat), flat)
        return Perturbed.costing(x_adv.view_as(batch.x), forwards=0, backwards=0)
