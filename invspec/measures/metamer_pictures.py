"""Pictures of metamers and of the paths to them."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, ImageGrid, Scored, rows_of
from invspec.errors import InvspecError
from invspec.ops.modules import device_of
from invspec.ops.types import SHARES, Bounds, Range
from invspec.scoring.pairs import PairMeasure, eligible, require_path
from invspec.scoring.paths import path_positions
from invspec.scoring.pictures import Shown, one_pair_per_source
from invspec.scoring.rows import mean_of_pairs
from invspec.search.gradients import logits_of

# largest number of logits drawn per image
MAX_BARS = 20


class MetamerTriples(PairMeasure):
    """The logit source, the metamer and the nuisance source of a few pairs, side by side.

    Above the first two are their logits, equal bar by bar; with more than 20 classes, the source's
    20 largest logits in falling order. Below them is the confidence in the label that the model
    gives the source, and below the nuisance source the confidence in its own class. Each pair has a
    different source: the n-th source is shown with its n-th target, starting over where it has
    fewer.

    Logits and confidence are those of the unclipped metamer, although it is drawn clipped to the
    pixel range: logit_gap measures what clipping does to its logits.

    One row for each `image`, namely logits, metamer and nuisance: the mean confidence, in float32,
    with a bootstrap interval over sources. Tensors: images (R, 3, C, H, W); captions (R, 3); frames
    (R, 3), true for the originals; bars (R, 3, K) with K at most 20, NaN in the last column.

    Raises: InvspecError where pixels are unbounded, and where no pair is eligible.
    """

    figures: ClassVar[tuple[str, ...]] = ("images",)

    count: int = Field(
        default=5, ge=1, description="number of pairs to show, each from a different source"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        require_bounds(attacked.clean.bounds)
        among = eligible(attacked, self.eligible)
        selected = Shown.read(attacked, one_pair_per_source(attacked, among, self.count))
        pairs = attacked.pairs.take(selected.rows)
        columns = {"logits": selected.x, "metamer": selected.x_adv, "nuisance": selected.x_target}
        device = device_of(model)
        logits = torch.stack(
            [logits_of(model, images.to(device)).cpu() for images in columns.values()], dim=1
        )
        classes = torch.stack([pairs.prediction, pairs.prediction, pairs.y_target], dim=1)
        captions = logits.softmax(2).gather(2, classes[:, :, None]).squeeze(2)
        rows = [
            mean_of_pairs(confidence, pairs.source, SHARES, image=name)
            for name, confidence in zip(columns, captions.unbind(1), strict=True)
        ]
        images = torch.stack(list(columns.values()), dim=1).clamp(*attacked.clean.bounds)
        frames = torch.tensor([True, False, True]).expand_as(captions)
        return Scored(rows, ImageGrid(images, captions, frames, bars=bars(logits)).tensors())


class MetamerColumns(PairMeasure):
    """The path from an image to its metamer, one column per pair; the logits stay the same.

    From top to bottom: the vertices of the path from t = 0 (the source) to t = 1 (the metamer),
    then the nuisance source. In all but the last row the model's logits are those of the source, so
    the number below an image is the oracle's probability of the source's class, which falls where
    the visible class changes; in the last row, of the target's class. The oracle sees the images as
    drawn, clipped to the pixel range. Pairs are selected as in metamer_triples.

    The row is the oracle's mean probability for the metamers shown, in float32, with a bootstrap
    interval over sources. Tensors: images (T + 1, M, C, H, W) of M pairs; captions (T + 1, M);
    frames (T + 1, M), true for the originals; sides (T + 1,), the values of t, NaN for the last
    row.

    Raises: InvspecError where pixels are unbounded, where the attack kept no path, and where no
    pair is eligible.
    """

    wants_oracle: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ("images",)

    count: int = Field(
        default=10, ge=1, description="number of pairs to show, each from a different source"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        require_bounds(attacked.clean.bounds)
        require_path(attacked)
        among = eligible(attacked, self.eligible)
        selected = Shown.read(attacked, one_pair_per_source(attacked, among, self.count))
        places = selected.rows.tolist()
        path = torch.cat([rows_of(attacked.tensors, "path", row, row + 1) for row in places])
        columns = torch.cat([path, selected.x_target[:, None]], dim=1).clamp(*attacked.clean.bounds)
        # rows are vertices, columns are pairs
        images, pairs = columns.transpose(0, 1), attacked.pairs.take(selected.rows)
        classes = [pairs.y] * path.shape[1] + [pairs.y_target]
        device = device_of(model)
        captions = torch.stack(
            [oracle_probs(attacked, row, y, device) for row, y in zip(images, classes, strict=True)]
        )
        frames = torch.zeros_like(captions, dtype=torch.bool)
        frames[[0, -1]] = True
        sides = torch.tensor([*path_positions(path.shape[1]), math.nan], dtype=torch.float64)
        return Scored(
            # the row before the last shows the metamers
            [mean_of_pairs(captions[-2], pairs.source, SHARES)],
            ImageGrid(images, captions, frames, sides=sides).tensors(),
        )


def require_bounds(bounds: Bounds) -> None:
    """Raise InvspecError if pixels are unbounded: such images cannot be drawn."""
    if not all(map(math.isfinite, bounds)):
        hint = "remove this measure, or use a data set with bounded pixels"
        raise InvspecError(f"images with pixels in {list(bounds)} cannot be drawn", hint=hint)


def bars(logits: Tensor) -> Tensor:
    """The logits to draw, (R, 3, K) to (R, 3, K'): the same classes per row, NaN in the last."""
    classes = torch.arange(logits.shape[2]).expand(len(logits), -1)
    if logits.shape[2] > MAX_BARS:
        classes = logits[:, 0].topk(MAX_BARS, dim=1).indices
    drawn = logits.gather(2, classes[:, None].expand(-1, 3, -1))
    # the nuisance source's logits are not compared
    drawn[:, 2] = math.nan
    return drawn


@torch.no_grad()
def oracle_probs(attacked: Examples, images: Tensor, y: Tensor, device: torch.device) -> Tensor:
    """The oracle's probability of y (M,) for images (M, C, H, W): (M,) on the CPU."""
    assert attacked.oracle is not None, "a measure that needs an oracle got none"
    probs = attacked.oracle(images.to(device)).softmax(1).cpu()
    return probs.gather(1, y[:, None]).squeeze(1)
