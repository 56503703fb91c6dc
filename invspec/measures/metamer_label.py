"""What metamers show, by the word of an oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.types import Bounds
from invspec.scoring.pairs import READ, device_of, walked
from invspec.scoring.paths import shares
from invspec.scoring.rows import share_of_pairs

Among = Literal["readable", "all"]


class ByOracle(Measure):
    """A measure of pairs that asks an oracle, an independent classifier, which class final images show.

    It is asked about images within the pixels' bounds, as it was trained on such and as people would see them; the
    metamers themselves leave these bounds. With clip false it is asked about the metamers as they are.
    """

    wants_target: ClassVar[bool] = True
    wants_oracle: ClassVar[bool] = True

    among: Among = Field(
        default="readable",
        description="pairs of which the oracle reads both source and target rightly, or all",
    )
    clip: bool = Field(
        default=True, description="bring pixels back within their bounds before the oracle is asked"
    )

    def smoke(self) -> Self:
        """Among all pairs, since an oracle of one epoch may read none."""
        return super().smoke().model_copy(update={"among": "all"})

    def shown(self, images: Tensor, bounds: Bounds) -> Tensor:
        """What the oracle is asked about."""
        return images.clamp(*bounds) if self.clip else images


class MetamerLabel(ByOracle):
    """Which class metamers show: that of the image they took the nuisance from, or that of the one with their logits.

    A row for each quantity, a share of pairs:

        nuisance           the oracle says the class of the target: invariance-based adversarial, as far as model_keeps
        logits             the oracle says the class of the source: the logits hold what is seen
        other              the oracle says neither
        model_keeps        the model's label for the metamer, unclipped, is that for the source; by construction,
                           but for rounding to float32
        model_keeps_shown  the same of the image that the oracle is asked about
        readable           of all pairs, those of which the oracle reads both ends rightly
        oracle_accuracy    of all pairs, those of which it reads the source rightly

    Intervals are bootstrapped over sources, which n counts.

    Raises: InvspecError where among is readable and no pair is.
    """

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged, ends = attacked.judged, Ends.read(attacked, device_of(model))
        kept, prediction = ends.among(self.among), judged["prediction"]
        label, own = (
            torch.cat(parts) for parts in zip(*self._labels(model, attacked), strict=True)
        )
        found = {"nuisance": label == judged["y_target"], "logits": label == judged["y"]}
        found |= {"other": ~(found["nuisance"] | found["logits"])}
        found |= {
            "model_keeps": judged["prediction_adv"] == prediction,
            "model_keeps_shown": own == prediction,
        }
        source = judged["source"]
        of_all = {"readable": ends.source & ends.target, "oracle_accuracy": ends.source}
        return Scored(
            [
                *(
                    share_of_pairs(outcome[kept], source[kept], quantity=name)
                    for name, outcome in found.items()
                ),
                *(share_of_pairs(each, source, quantity=name) for name, each in of_all.items()),
            ]
        )

    @torch.no_grad()
    def _labels(self, model: nn.Module, attacked: Examples) -> Iterator[tuple[Tensor, Tensor]]:
        """What the oracle and the model say of the images shown, each (B,), batch by batch."""
        device = device_of(model)
        for batch, tensors in attacked.batches(READ, "x_adv"):
            images = self.shown(tensors["x_adv"].to(device), batch.bounds)
            yield attacked.believed(images).cpu(), model(images).argmax(1).cpu()


class MetamerPathLabel(ByOracle):
    """Which class an image shows on its way to a metamer: the logits stay, t of the way is gone in the nuisance.

    For each vertex of the path a row for each quantity, told apart by t, from 0, the source, to 1, the metamer: the
    share of pairs for which the oracle says the class of the source (logits), and of the target (nuisance). Intervals
    are bootstrapped over sources, which n counts.

    Raises: InvspecError where the attack kept no path, and where among is readable and no pair is.
    """

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged, device = attacked.judged, device_of(model)
        kept = Ends.read(attacked, device).among(self.among)
        labels = self._labels(attacked, device)[kept]
        rows: list[Row] = []
        for t, label in zip(shares(labels.shape[1]), labels.unbind(1), strict=True):
            found = {
                "logits": label == judged["y"][kept],
                "nuisance": label == judged["y_target"][kept],
            }
            rows += [
                share_of_pairs(outcome, judged["source"][kept], quantity=name, t=t)
                for name, outcome in found.items()
            ]
        return Scored(rows)

    @torch.no_grad()
    def _labels(self, attacked: Examples, device: torch.device) -> Tensor:
        """What the oracle says of every vertex of every path, (N, T)."""
        found: list[Tensor] = []
        for walks in walked(attacked, device):
            images = self.shown(walks.path, walks.batch.bounds)
            labels = torch.cat(
                [attacked.believed(some) for some in images.flatten(0, 1).split(READ)]
            )
            found.append(labels.view(images.shape[:2]).cpu())
        return torch.cat(found)


@dataclass(frozen=True)
class Ends:
    """Of which pairs the oracle reads the source rightly, and of which the target, each (N,) bool."""

    source: Tensor
    target: Tensor

    @classmethod
    @torch.no_grad()
    def read(cls, attacked: Examples, device: torch.device) -> Self:
        """Of all pairs, READ at a time."""
        judged = attacked.judged
        labels = [
            [attacked.believed(images.to(device)).cpu() for images in (batch.x, batch.targets)]
            for batch, _ in attacked.batches(READ)
        ]
        source, target = (torch.cat(parts) for parts in zip(*labels, strict=True))
        return cls(source == judged["y"], target == judged["y_target"])

    def among(self, which: Among) -> Tensor:
        """Which pairs count, (N,) bool. Raises InvspecError where none does."""
        kept = (self.source & self.target) | (which == "all")
        if not kept.any():
            raise InvspecError(
                f"of none of {len(kept):,} pairs does the oracle read both ends rightly",
                hint="train the oracle longer, widen the sample, or say among: all",
            )
        return kept
