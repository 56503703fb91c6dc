"""What attacks on pairs made, to be looked at."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.ops.types import SHARES
from invspec.scoring.pairs import (
    OfPairs,
    class_count,
    confidences,
    eligible,
)
from invspec.scoring.pictures import Shown, a_target_a_source, one_source_a_class
from invspec.scoring.rows import mean_of_pairs


class ImageGrid(OfPairs):
    """Final images by class of target (row) and of source (column), each with its confidence below.

    It is that in the label which the model gives the source. Of each class one source is shown, the first of those that
    were sent to the most classes; where it has several targets of a class, the first. The diagonal has what each row
    should look like: its target (the first, where sources have targets of their own), with the confidence in its class.

    The row is the mean confidence of the final images that are shown, in float32, over sources, with a bootstrap
    interval; each and index have an entry a source. It is of examples: rates and distances have measures of their own.
    Tensors: images (K, K, C, H, W), captions (K, K) and frames (K, K), K being the number of classes shown; NaN where
    there is no image.

    Raises: InvspecError where no pair is eligible, or none of the classes shown.
    """

    classes: int = Field(
        default=10, ge=2, description="at most so many classes are shown, the first ones"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged, k = attacked.judged, min(self.classes, class_count(model, attacked))
        among = eligible(attacked, self.eligible) & (judged["y"] < k) & (judged["y_target"] < k)
        if not among.any():
            raise InvspecError(
                f"no eligible pair lies within the first {k} classes", hint="show more classes"
            )
        shown = Shown.of(attacked, one_source_a_class(attacked, among))
        y, y_target, source, label = (
            judged[name][shown.rows] for name in ("y", "y_target", "source", "prediction")
        )
        confidence, own = (
            confidences(model, shown.x_adv, label),
            confidences(model, shown.x_target, y_target),
        )
        images, captions = (
            shown.x.new_full((k, k, *shown.x.shape[1:]), torch.nan),
            torch.full((k, k), torch.nan),
        )
        for row in reversed(range(len(y))):  # so that the first of several targets stays
            images[y_target[row], y_target[row]], captions[y_target[row], y_target[row]] = (
                shown.x_target[row],
                own[row],
            )
        images[y_target, y], captions[y_target, y] = shown.x_adv, confidence
        pictures = {
            "images": images,
            "captions": captions,
            "frames": torch.eye(k, dtype=torch.bool),
        }
        return Scored([mean_of_pairs(confidence, source, SHARES)], pictures)


class ImageTriples(OfPairs):
    """Source, target and final image of a few pairs, side by side, each with its confidence below.

    It is that in the label which the model gives the source. Each pair has a source of its own: the n-th source is
    shown with its n-th target, counted round. Final images that leave the pixels' bounds, as those of a step without a
    box do, are shown a second time, clamped.

    A row for each of source, target, result and, if there is one, clamped, told apart by `image`: the mean confidence,
    in float32, with a bootstrap interval over sources. Tensors: images (R, 3 or 4, C, H, W), captions and frames
    (R, 3 or 4).

    Raises: InvspecError where no pair is eligible.
    """

    count: int = Field(default=5, ge=1, description="pairs that are shown, of so many sources")

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        shown = Shown.of(
            attacked, a_target_a_source(attacked, eligible(attacked, self.eligible), self.count)
        )
        columns = {"source": shown.x, "target": shown.x_target, "result": shown.x_adv}
        clamped = shown.x_adv.clamp(*attacked.clean.bounds)
        if not torch.equal(clamped, shown.x_adv):
            columns["clamped"] = clamped
        label, source = (attacked.judged[name][shown.rows] for name in ("prediction", "source"))
        captions = torch.stack(
            [confidences(model, images, label) for images in columns.values()], dim=1
        )
        frames = torch.zeros_like(captions, dtype=torch.bool)
        frames[:, 0] = True
        rows = [
            mean_of_pairs(values, source, SHARES, image=name)
            for name, values in zip(columns, captions.unbind(1), strict=True)
        ]
        images = torch.stack(list(columns.values()), dim=1)
        return Scored(rows, {"images": images, "captions": captions, "frames": frames})
