"""Training a bijection as a flow, by the likelihood of images."""

from __future__ import annotations

from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.kinds import Bijective, Defence
from invspec.ops.draws import Stream
from invspec.training.fields import (
    BatchSize,
    Dequantise,
    Epochs,
    LearningRate,
    MaxGradientNorm,
    Optimiser,
)
from invspec.training.flow import (
    CrossEntropyWeight,
    FlowLoss,
    LastInClosedForm,
    LikelihoodWeight,
    PriorFromData,
    PriorOver,
    code_of_first,
    fit_last_map,
    fresh_prior,
    require_last_map,
)
from invspec.training.loop import fit
from invspec.training.recipe import Recipe


class Likelihood(Recipe, Defence):
    """Maximise the likelihood of dequantised images, optionally with a cross-entropy of the logits.

    The density of an image is that of its code under the prior times |det J|, where J (D, D) is the
    Jacobian of the code; the log-determinant counts once. The prior is a diagonal Gaussian that
    starts at mean 0 and deviation 1 and learns with the model, at its learning rate and weight
    decay. With steps of lr it is slow to reach the deviations of pixels that are always black,
    about exp(-6); use prior_from_data in a short training.

    The likelihood is measured in bits per dimension, -log2 of the probability of an 8-bit image
    over D, on the scale of the cross-entropy; the curve bits_per_dimension shows it. For padded
    images it includes the border, which is always black and takes few bits: the numbers are lower
    than, and not comparable with, those published for unpadded images.

    A prior over the nuisance alone corresponds to the factorised one of Lemma 10, with free logits.
    The bits are then not a likelihood of images: scaling up the logits lowers them.

    The defaults are the recipe of Jacobsen et al. for MNIST, without its drops of lr.
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
        return Bijective

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        if self.last_in_closed_form:
            require_last_map(model)
        prior = fresh_prior(code_of_first(model, data), self.prior, self.prior_from_data)
        loss = FlowLoss(prior, self.prior, self.ce_weight, self.mle_weight)
        curves = fit(model, data, rng, journal, self, loss=loss, auxiliary=prior)
        if self.last_in_closed_form:
            fit_last_map(model, self.selected(data))
        return curves
