"""Standard training that stops logits from growing once the training points are separated."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.kinds import Defence, Number
from invspec.ops.draws import Stream
from invspec.ops.modules import device_of
from invspec.training.loop import fit
from invspec.training.loss import StepLoss
from invspec.training.modes import attackable
from invspec.training.recipe import Recipe

# batch size where only labels are predicted
POINTS_PER_PASS = 4096


class BoundedLogits(Recipe, Defence):
    """Minimise the cross-entropy, by one of several means that keep logits small.

    Cross-entropy on separable data has no minimum: logits grow for as long as training lasts, and
    metamers of a bijective net, which join the logits of one point with the nuisance of another,
    then lie far from all data. Of the means, any number can be combined:

        stop_when_separated  training ends with the first epoch after which no training point is
                             misread
        label_smoothing      the label's probability is 1 - label_smoothing (K - 1) / K
        logit_penalty        this times the mean squared l2 length of the logits is added
        weight_decay         as in every recipe, the l2 penalty of the weights

    With none of them, every update equals Standard's. The curves are those of Standard, as long as
    the training was; logit_length, the mean l2 length of the logits, is added.
    """

    stop_when_separated: bool = Field(
        default=False, description="end after the first epoch that leaves no training point misread"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the label spread evenly over all classes"
    )
    logit_penalty: Number = Field(
        default=0.0, ge=0, description="weight of the mean squared l2 length of the logits"
    )

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        points = self.selected(data)
        finished = partial(separates, model, points) if self.stop_when_separated else None
        return fit(model, data, rng, journal, self, loss=self.loss, finished=finished)

    def loss(self, net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        """The loss of one update."""
        logits = net(batch.x)
        square = logits.square().sum(1)
        value = F.cross_entropy(logits, batch.y, label_smoothing=self.label_smoothing)
        if self.logit_penalty:
            value = value + self.logit_penalty * square.mean()
        return StepLoss(value, logits, {"logit_length": square.detach().sqrt().mean()})


@torch.no_grad()
def separates(model: nn.Module, points: Split) -> bool:
    """Whether a model, in eval mode, classifies all points as labelled."""
    device = device_of(model)
    with attackable(model):
        return all(
            bool((model(batch.x).argmax(1) == batch.y).all())
            for batch in points.to(device).batches(POINTS_PER_PASS)
        )
