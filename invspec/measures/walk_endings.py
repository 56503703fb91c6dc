"""How target walks ended."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.ops.types import SHARES, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, eligible
from invspec.scoring.rows import share_of_pairs
from invspec.search.target_walk import has_arrived


class WalkEndings(PairMeasure):
    """Shares of walks that ended in each way: whether more steps might raise a success rate.

    A row for each quantity:

        arrived        at most 1 % of the l2 distance from the source to the target is left
        stopped        the walk ended before: every step that it tried was refused, or the
                       projection left nothing of the displacement
        still_walking  the walk was on its way when its steps ran out: with more of them it might
                       have come nearer, so a success rate is only a lower bound
        start_refused  the image at which the walk should begin loses too much confidence, so that
                       it began at the source; 0 for walks without a start
        unmoved        the final image is the source

    The first three add up to 1. Intervals are from a bootstrap over sources and targets.

    Raises: InvspecError where the attack is no walk, or where no pair is eligible.
    """

    wants_model: ClassVar[bool] = False

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        if not attacked.has("ran_out"):
            hint = "use an attack that walks to a target, such as nspgd"
            raise InvspecError("the attack does not say how its walks ended", hint=hint)
        ran_out = attacked.tensors["ran_out"].cpu()
        arrived, unmoved = (torch.cat(parts) for parts in zip(*_ends(attacked), strict=True))
        refused = torch.zeros_like(ran_out)
        if attacked.has("start_refused"):
            refused = attacked.tensors["start_refused"].cpu()
        shares = {
            "arrived": arrived,
            "stopped": ~(arrived | ran_out),
            "still_walking": ran_out,
            "start_refused": refused,
            "unmoved": unmoved,
        }
        rows = eligible(attacked, self.eligible)
        pairs = attacked.pairs.take(rows)
        return Scored(
            [share_of_pairs(ended[rows], pairs, quantity=name) for name, ended in shares.items()]
        )


def _ends(attacked: Examples) -> list[tuple[Tensor, Tensor]]:
    """Of each batch, which walks arrived and which never left the source, each (B,) bool."""
    ends: list[tuple[Tensor, Tensor]] = []
    for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv"):
        x, x_target, x_adv = batch.x.cpu(), batch.targets.cpu(), tensors["x_adv"].cpu()
        unmoved = (x_adv == x).flatten(1).all(1)
        ends.append((has_arrived(x, x_adv, x_target), unmoved))
    return ends
