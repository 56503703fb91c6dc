"""Leaving a net as it was built."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.kinds import Defence
from invspec.ops.draws import Stream


class Untrained(Defence):
    """Train nothing: for nets at their initial weights and for classifiers without weights."""

    weights_from: ClassVar[Literal["trained", "initial", "published"]] = "initial"

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        return {}
