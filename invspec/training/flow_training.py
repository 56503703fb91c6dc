"""Base class of defences that train a bijection as a flow."""

from __future__ import annotations

from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.kinds import Bijective, Defence, EndsInMap
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliary
from invspec.training.fields import (
    BatchSize,
    Dequantise,
    Epochs,
    LearningRate,
    MaxGradientNorm,
    Optimiser,
)
from invspec.training.flow import (
    Code,
    CrossEntropyWeight,
    FlowLoss,
    LastInClosedForm,
    LikelihoodWeight,
    PriorFromData,
    PriorOver,
    code_of_first,
    fit_last_map,
    fresh_prior,
)
from invspec.training.loop import fit
from invspec.training.loss import LossFunction
from invspec.training.recipe import Recipe


class FlowTraining(Recipe, Defence):
    """Base class of trainings by cross-entropy and likelihood, the latter under a learnt prior.

    A subclass may override `objective`, to add terms and auxiliaries.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 64
    optimiser: Optimiser = "adamax"
    lr: LearningRate = 1e-3
    max_gradient_norm: MaxGradientNorm = 100.0
    dequantise: Dequantise = True
    ce_weight: CrossEntropyWeight = 0.0
    mle_weight: LikelihoodWeight = 1.0
    prior: PriorOver = "all"
    prior_from_data: PriorFromData = False
    last_in_closed_form: LastInClosedForm = False

    @property
    def accepts(self) -> type:
        return EndsInMap if self.last_in_closed_form else Bijective

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        """Fit the model, and the prior with it."""
        code = code_of_first(model, data)
        prior = fresh_prior(code, self.prior, self.prior_from_data)
        flow = FlowLoss(prior, self.prior, self.ce_weight, self.mle_weight)
        loss, auxiliary = self.objective(flow, code, rng)
        curves = fit(model, data, rng, journal, self, loss=loss, auxiliary=auxiliary)
        if self.last_in_closed_form:
            fit_last_map(model, self.selected(data))
        return curves

    def objective(self, flow: FlowLoss, code: Code, rng: Stream) -> tuple[LossFunction, Auxiliary]:
        """The loss and the auxiliary trained with the model; code gives the sizes of its parts."""
        return flow, flow.prior
