"""Training on the images as they are."""

from __future__ import annotations

from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.kinds import Defence
from invspec.ops.draws import Stream
from invspec.training.loop import fit
from invspec.training.recipe import Recipe


class Standard(Recipe, Defence):
    """Minimise the cross-entropy of augmented images.

    The defaults are Kamath et al.'s recipe for MNIST.
    """

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        return fit(model, data, rng, journal, self)
