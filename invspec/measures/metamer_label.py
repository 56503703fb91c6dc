"""The class that metamers show, according to an oracle."""

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
from invspec.ops.modules import device_of
from invspec.ops.types import SHARES, Bounds, Range
from invspec.scoring.pairs import BATCH_SIZE, walked
from invspec.scoring.paths import path_positions
from invspec.scoring.rows import share_of_pairs

Among = Literal["readable", "all"]


class OracleMeasure(Measure):
    """Base class of measures that label final images with an oracle, an independent classifier.

    The oracle sees images clipped to the pixel range, as it was trained on such images and as
    people would see them; metamers may leave that range. With clip false it sees the metamers
    as they are.
    """

    wants_target: ClassVar[bool] = True
    wants_oracle: ClassVar[bool] = True

    among: Among = Field(
        default="readable",
        description="pairs whose source and target the oracle labels correctly, or all",
    )
    clip: bool = Field(default=True, description="clip what the oracle sees to the pixel range")

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def smoke(self) -> Self:
        """Count all pairs, because an oracle of one epoch may label none correctly."""
        return super().smoke().model_copy(update={"among": "all"})

    def shown(self, images: Tensor, bounds: Bounds) -> Tensor:
        """The images that the oracle sees."""
        return images.clamp(*bounds) if self.clip else images


class MetamerLabel(OracleMeasure):
    """Whether metamers show the class of their nuisance source or of their logit source.

    A row for each quantity, a share of pairs:

        nuisance           the oracle sees the class of the target: invariance-based adversarial, if
                           the model keeps its label
        logits             the oracle sees the class of the source: the logits fix what is visible
        other              the oracle sees neither
        model_keeps        the model gives the unclipped metamer the label of the source: true by
                           construction, up to rounding to float32
        model_keeps_shown  the same for the image that the oracle sees
        readable           among all pairs: the oracle labels source and target correctly
        oracle_accuracy    among all pairs: the oracle labels the source correctly

    Intervals are from a bootstrap over sources, which n counts, and over shared targets.

    Raises: InvspecError where among is readable and no pair is.
    """

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        pairs, correct = attacked.pairs, OracleCorrect.read(attacked, device_of(model))
        rows = correct.among(self.among)
        parts = zip(*self._labels(model, attacked), strict=True)
        label, model_label = (torch.cat(labels) for labels in parts)
        nuisance, logits = label == pairs.y_target, label == pairs.y
        counted = {
            "nuisance": nuisance,
            "logits": logits,
            "other": ~(nuisance | logits),
            "model_keeps": ~pairs.changed,
            "model_keeps_shown": model_label == pairs.prediction,
        }
        of_all = {"readable": correct.source & correct.target, "oracle_accuracy": correct.source}
        return Scored(
            [
                *(
                    share_of_pairs(outcome[rows], pairs.take(rows), quantity=name)
                    for name, outcome in counted.items()
                ),
                *(
                    share_of_pairs(outcome, pairs, quantity=name)
                    for name, outcome in of_all.items()
                ),
            ]
        )

    @torch.no_grad()
    def _labels(self, model: nn.Module, attacked: Examples) -> Iterator[tuple[Tensor, Tensor]]:
        """The labels (B,) that the oracle and the model give the images shown, batch by batch."""
        device = device_of(model)
        for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv"):
            images = self.shown(tensors["x_adv"].to(device), batch.bounds)
            yield attacked.oracle_labels(images).cpu(), model(images).argmax(1).cpu()


class MetamerPathLabel(OracleMeasure):
    """The class that an oracle sees along the path to a metamer, where the logits stay the same.

    A row for each vertex of the path, t from 0 (the source) to 1 (the metamer), and for each
    quantity, a share of pairs:

        logits          the oracle sees the class of the source
        nuisance        the oracle sees the class of the target
        logits_so_far   the oracle has seen the class of the source at every vertex up to t; at
                        t = 1, along the whole path

    Intervals are from a bootstrap over sources, which n counts, and over shared targets.

    Raises: InvspecError where the attack kept no path, and where among is readable and no pair is.
    """

    # Version 1 had no row logits_so_far.
    version: ClassVar[int] = 2

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        device = device_of(model)
        rows = OracleCorrect.read(attacked, device).among(self.among)
        pairs, labels = attacked.pairs.take(rows), self._labels(attacked, device)[rows]
        numbers: list[Row] = []
        logits = labels == pairs.y[:, None]
        outcomes = {
            "logits": logits,
            "nuisance": labels == pairs.y_target[:, None],
            "logits_so_far": logits.cummin(1).values,
        }
        for place, t in enumerate(path_positions(labels.shape[1])):
            numbers += [
                share_of_pairs(outcome[:, place], pairs, quantity=name, t=t)
                for name, outcome in outcomes.items()
            ]
        return Scored(numbers)

    @torch.no_grad()
    def _labels(self, attacked: Examples, device: torch.device) -> Tensor:
        """The oracle's label of every vertex of every path, (N, T)."""
        parts: list[Tensor] = []
        for walks in walked(attacked, device):
            images = self.shown(walks.path, walks.batch.bounds)
            chunks = images.flatten(0, 1).split(BATCH_SIZE)
            labels = torch.cat([attacked.oracle_labels(chunk) for chunk in chunks])
            parts.append(labels.view(images.shape[:2]).cpu())
        return torch.cat(parts)


@dataclass(frozen=True)
class OracleCorrect:
    """Whether the oracle labels source and target of each pair correctly, each (N,) bool."""

    source: Tensor
    target: Tensor

    @classmethod
    @torch.no_grad()
    def read(cls, attacked: Examples, device: torch.device) -> Self:
        """Label sources and targets of all pairs with the oracle, BATCH_SIZE at a time."""
        pairs = attacked.pairs
        labels = [
            [attacked.oracle_labels(images.to(device)).cpu() for images in (batch.x, batch.targets)]
            for batch, _ in attacked.batches(BATCH_SIZE)
        ]
        source, target = (torch.cat(parts) for parts in zip(*labels, strict=True))
        return cls(source == pairs.y, target == pairs.y_target)

    def among(self, which: Among) -> Tensor:
        """The pairs that count, (N,) bool. Raises InvspecError where there are none."""
        rows = (self.source & self.target) | (which == "all")
        if not rows.any():
            raise InvspecError(
                "the oracle labels both source and target correctly "
                f"in none of {len(rows):,} pairs",
                hint="train the oracle longer, widen the sample, or set among: all",
            )
        return rows
