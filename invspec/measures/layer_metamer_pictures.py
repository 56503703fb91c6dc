"""Metamers of the layers of a net, side by side, with what an oracle recognises."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, ImageGrid, Scored, rows_of
from invspec.errors import InvspecError
from invspec.ops.modules import device_of
from invspec.ops.types import SHARES, Range
from invspec.scoring.among import Among, CountedMeasure
from invspec.scoring.rows import mean_of_pairs


class LayerMetamerPictures(CountedMeasure):
    """An image in each column; below it, its metamers at each layer of a sweep.

    The number below an image is the oracle's probability of the class that it sees in the image at
    the top: it falls where metamers are no longer recognisable. Images are the first ones that the
    oracle labels correctly, or the first ones; with targets there is one for each pair.

    A row for each `layer`, and `clean` for the images themselves: the mean of these probabilities,
    with a bootstrap interval. It describes the images shown: for all of them use semantic_share.
    Tensors: images (L + 1, M, C, H, W), captions and frames (L + 1, M), and sides (L + 1,), 0 for
    the images themselves and then the number of the layer in the sweep.

    Needs one attack with a field layer that is swept.

    Raises: InvspecError where the attack has no layers, and where the oracle labels none of the
        images correctly, unless `among` is all.
    """

    takes_sweep: ClassVar[bool] = True
    wants_oracle: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ("images",)

    among: Among = Field(
        default="correct", description="images that the oracle labels correctly, or all images"
    )
    count: int = Field(default=10, ge=1, description="number of images to show")

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        layers = [str(attacked.settings.get("layer", "")) for attacked in examples]
        if not all(layers) or len(set(layers)) < len(layers):
            raise InvspecError(
                "expected one attack whose field layer is swept",
                hint="use layer_metamer with layer: {sweep: [...]}",
            )
        first, device = examples[0], device_of(model)
        (batch,) = first.clean.head(self._looked_at(first)).batches(self._looked_at(first))
        labels = first.oracle_labels(batch.x.to(device)).cpu()
        shows = (labels == batch.y.cpu()) | (self.among == "all")
        places = shows.nonzero().squeeze(1)[: self.count].tolist()
        if not places:
            raise InvspecError(
                f"the oracle labels none of the first {len(labels)} images correctly",
                hint="train the oracle longer, or set among: all",
            )
        images = [batch.x[places].cpu()] + [
            torch.cat([rows_of(attacked.tensors, "x_adv", row, row + 1) for row in places])
            for attacked in examples
        ]
        shown, y = torch.stack(images).float(), batch.y.cpu()[places]
        captions = torch.stack([_probability(first, row, y, device) for row in shown])
        frames = torch.zeros_like(captions, dtype=torch.bool)
        frames[0] = True
        units = first.judged.take(torch.tensor(places))
        rows = [
            mean_of_pairs(values, units.index, SHARES, layer=name)
            for name, values in zip(("clean", *layers), captions, strict=True)
        ]
        sides = torch.arange(len(shown)).double()
        return Scored(rows, ImageGrid(shown, captions, frames, sides=sides).tensors())

    def _looked_at(self, examples: Examples) -> int:
        """How many images are looked at for those that the oracle labels correctly."""
        return min(10 * self.count, len(examples.clean))


def _probability(examples: Examples, x: Tensor, y: Tensor, device: torch.device) -> Tensor:
    """The oracle's probability of y (M,) for images x (M, C, H, W), on the CPU."""
    assert examples.oracle is not None, "a measure that needs an oracle got none"
    return examples.oracle(x.to(device)).softmax(1).cpu().gather(1, y[:, None]).squeeze(1)
