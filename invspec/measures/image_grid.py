"""Pictures of attacked pairs."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.data import ImageGrid as Grid
from invspec.errors import InvspecError
from invspec.ops.types import SHARES, Range
from invspec.scoring.pairs import PairMeasure, class_count, confidences, eligible
from invspec.scoring.pictures import Shown, one_pair_per_source, pairs_of_one_source_per_class
from invspec.scoring.rows import mean_of_pairs


class ImageGrid(PairMeasure):
    """Final images by the class of their target (row) and source (column), with confidences.

    Below each image is the confidence in the label that the model gives the source. One source per
    class is shown: the first of those with the most target classes, with its first target of each
    class. The diagonal shows the target of each row (the first, if sources have different targets),
    with the confidence in the target's class.

    The row is the mean confidence of the final images shown, in float32, with a bootstrap interval
    over sources. It describes selected examples: for rates and distances use other measures.
    Tensors: images (K, K, C, H, W), captions (K, K) and frames (K, K), where K is the number of
    classes shown; NaN where there is no image.

    Raises: InvspecError where no pair is eligible, or no eligible pair is of the classes shown.
    """

    figures: ClassVar[tuple[str, ...]] = ("images",)

    classes: int = Field(
        default=10, ge=2, description="largest number of classes to show, from the first"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        pairs, k = attacked.pairs, min(self.classes, class_count(model, attacked))
        among = eligible(attacked, self.eligible) & (pairs.y < k) & (pairs.y_target < k)
        if not among.any():
            raise InvspecError(
                f"no eligible pair has both classes among the first {k}", hint="show more classes"
            )
        selected = Shown.read(attacked, pairs_of_one_source_per_class(attacked, among))
        pairs = pairs.take(selected.rows)
        confidence = confidences(model, selected.x_adv, pairs.prediction)
        images = selected.x.new_full((k, k, *selected.x.shape[1:]), torch.nan)
        captions = torch.full((k, k), torch.nan)
        diagonal = confidences(model, selected.x_target, pairs.y_target)
        # in reverse, so that the first of several targets stays
        for row in reversed(range(len(pairs.y))):
            place = pairs.y_target[row]
            images[place, place], captions[place, place] = selected.x_target[row], diagonal[row]
        images[pairs.y_target, pairs.y] = selected.x_adv
        captions[pairs.y_target, pairs.y] = confidence
        # the diagonal shows targets, not results
        frames = torch.eye(k, dtype=torch.bool)
        return Scored(
            [mean_of_pairs(confidence, pairs.source, SHARES)],
            Grid(images, captions, frames).tensors(),
        )


class ImageTriples(PairMeasure):
    """Source, target and final image of a few pairs, side by side, each with its confidence below.

    The confidence is in the label that the model gives the source. Each pair has a different
    source: the n-th source is shown with its n-th target, starting over where it has fewer. If
    final images leave the pixel range, as after a step without a box, they are shown a second time,
    clamped.

    One row for each `image`, namely source, target, result and, if shown, clamped: the mean
    confidence, in float32, with a bootstrap interval over sources. Tensors: images (R, 3 or 4, C,
    H, W), captions and frames (R, 3 or 4).

    Raises: InvspecError where no pair is eligible.
    """

    figures: ClassVar[tuple[str, ...]] = ("images",)

    count: int = Field(
        default=5, ge=1, description="number of pairs to show, each from a different source"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        among = eligible(attacked, self.eligible)
        selected = Shown.read(attacked, one_pair_per_source(attacked, among, self.count))
        columns = {"source": selected.x, "target": selected.x_target, "result": selected.x_adv}
        clamped = selected.x_adv.clamp(*attacked.clean.bounds)
        if not torch.equal(clamped, selected.x_adv):
            columns["clamped"] = clamped
        pairs = attacked.pairs.take(selected.rows)
        captions = torch.stack(
            [confidences(model, images, pairs.prediction) for images in columns.values()], dim=1
        )
        frames = torch.zeros_like(captions, dtype=torch.bool)
        frames[:, 0] = True
        rows = [
            mean_of_pairs(confidence, pairs.source, SHARES, image=name)
            for name, confidence in zip(columns, captions.unbind(1), strict=True)
        ]
        images = torch.stack(list(columns.values()), dim=1)
        return Scored(rows, Grid(images, captions, frames).tensors())
