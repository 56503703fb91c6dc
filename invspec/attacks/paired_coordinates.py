"""The two perturbations of Theorem 1: a small shift against the label, and a swap of neighbours."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.contrast import MEAN, contrast, signed
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example


class MeanShift(Attack):
    """Move all Gaussian coordinates of `shuffled_gaussians` to the means of the other class.

    This is A in the theorem. In each of d pairs the first coordinate moves by -6 Y / sqrt(d) and
    the second by 6 Y / sqrt(d), where Y is 1 for label 1 and -1 for any other: an linf perturbation
    of size 6 / sqrt(d) that depends on the true label, not on a model.

    Needs batch.y. Returns x_adv (B, C, H, W).
    """

    ignores_model: ClassVar[bool] = True

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        length = batch.x[0].numel()
        pairs = max((length - 1) // 2, 1)
        signs = contrast(length).to(batch.x).view_as(batch.x[0])
        # class means are +-MEAN / sqrt(d), so they differ by twice that
        shift = -2 * MEAN / math.sqrt(pairs) * signs
        x_adv = batch.x + per_example(signed(batch.y).to(batch.x), batch.x) * shift
        return Perturbed.costing(x_adv.clamp(*batch.bounds), forwards=0, backwards=0)


class PairSwap(Attack):
    """Swap coordinates 1 and 2, 3 and 4, and so on: with probability 1/2 all pairs, else none.

    This is r in the theorem. Each example's coin is the same for every model. Coordinate 0 stays,
    as does a last coordinate without a partner. Returns x_adv (B, C, H, W).
    """

    ignores_model: ClassVar[bool] = True

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        flat, swapped = batch.x.flatten(1), batch.x.flatten(1).clone()
        # coordinate 0 and, in an even dimension, the last one have no partner
        end = 1 + 2 * ((flat.shape[1] - 1) // 2)
        swapped[:, 1:end:2], swapped[:, 2:end:2] = flat[:, 2:end:2], flat[:, 1:end:2]
        coin = rng.named("pair_swap").integers(2, (len(batch),)).bool().to(flat.device)
        x_adv = swapped.where(per_example(coin, flat), flat)
        return Perturbed.costing(x_adv.view_as(batch.x), forwards=0, backwards=0)
