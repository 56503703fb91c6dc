"""Whether a net has learnt anything."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Examples, Finding
from invspec.diagnostics.findings import share_of, skipped
from invspec.kinds import Attack, Check
from invspec.kinds.check import Doubts
from invspec.ops.draws import Draws


class Alive(Check):
    """The net is more accurate than chance, and predicts more than one class.

    Chance is the share of the commonest label. The net fails if its accuracy, with its whole
    interval, is below chance plus `gain` of what is missing from chance to 1, or if it predicts one
    class for all images, although they have several.
    """

    doubts: ClassVar[Doubts] = "everything"

    gain: float = Field(
        default=0.1, ge=0, lt=1, description="least accuracy above chance, relative to the most"
    )

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        judged = examples.judged
        labels, counts = judged.y.unique(return_counts=True)
        if len(labels) < 2:
            return skipped("all images have one label")
        measured = share_of(judged.correct)
        chance = counts.max().item() / counts.sum().item()
        threshold = chance + self.gain * (1 - chance)
        predicted = judged.prediction.unique()
        if len(predicted) == 1:
            reason = f"it predicts class {int(predicted)} for all {measured.n} images"
        elif measured.high < threshold:
            share = f"{100 * measured.value:.0f} % of {measured.n} images"
            reason = f"it classifies {share} correctly, and chance is {100 * chance:.0f} %"
        else:
            return Finding("passes", measured, threshold)
        hint = "train longer, or with another learning rate; attacks cannot make such a net worse"
        return Finding("fails", measured, threshold, reason, hint)
