"""Base class of defences that differ in how they prepare a batch."""

from __future__ import annotations

from abc import abstractmethod

from torch import nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.kinds import Defence
from invspec.ops.draws import Stream
from invspec.training.loop import fit
from invspec.training.loss import StepLoss, cross_entropy
from invspec.training.recipe import Recipe


class PreparedTraining(Recipe, Defence):
    """Base class of trainings that prepare each batch and then learn from it.

    A subclass implements `prepare`. It may override `loss`, which is the cross-entropy.
    """

    @abstractmethod
    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The batch to learn from, as `loop.Prepare` describes; augmenting it is part of this."""

    def loss(self, net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        """The loss of one update on a prepared batch."""
        return cross_entropy(net, batch, rng)

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        """Fit the model to the prepared batches."""
        return fit(model, data, rng, journal, self, prepare=self.prepare, loss=self.loss)
