"""Training a bijection as a flow, by the likelihood of images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.errors import InvspecError
from invspec.flows.bijective_net import BijectiveNet
from invspec.kinds import Bijective, Number
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliary
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.loop import Training
from invspec.training.modes import attackable
from invspec.training.objective import Objective
from invspec.training.precision import InPrecision

CrossEntropyWeight = Annotated[
    Number, Field(ge=0, description="of the cross-entropy of the logits, in nats")
]
LikelihoodWeight = Annotated[
    Number,
    Field(
        ge=0,
        description="of minus the log-likelihood, in bits per dimension; 0: no prior is learnt",
    ),
]
PriorOver = Annotated[
    Literal["nuisance", "all"],
    Field(
        description="which part of the code has the Gaussian prior; nuisance alone leaves the logits free"
    ),
]
READ = 256  # images whose codes are read at once
LEAST_STD = 1e-3  # that a prior begins with


class Likelihood(Training):
    """Maximum likelihood of dequantised images, and beside it, where it has a weight, the cross-entropy of the logits.

    The density of an image is that of its code under the prior times |det J|, J (D, D) being the Jacobian of the code,
    whose logarithm counts once. The prior is a diagonal Gaussian, of mean 0 and deviation 1 at first, and learns with
    the model: it has its learning rate and its weight decay. With steps of lr it is slow to find the deviations of
    pixels that are always black, about exp(-6); a short training begins with prior_from_data. In bits per dimension,
    -log2 of the probability of an 8-bit image over D, the term has the scale of the cross-entropy. The curve
    bits_per_dimension tells it. Of padded images it counts the border, which is always black and takes few bits:
    these numbers are below, and not comparable with, those published for images without one.

    A prior over the nuisance alone stands for the factorised one of Lemma 10, whose logits are free: these bits then
    are no likelihood of images, since a growing scale of the logits lowers them.

    The defaults are the recipe of Jacobsen et al. for MNIST, less its drops of the learning rate.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 64
    optimiser: Optimiser = "adamax"
    lr: LearningRate = 1e-3
    max_gradient_norm: Number | None = Field(
        default=100.0, gt=0, description="shorten longer gradients of all weights to this l2 norm"
    )
    dequantise: bool = Field(
        default=True,
        description="add noise to 8-bit pixels that fills the gaps between levels: (255 x + u) / 256",
    )
    ce_weight: CrossEntropyWeight = 0.0
    mle_weight: LikelihoodWeight = 1.0
    prior: PriorOver = "all"
    prior_from_data: bool = Field(
        default=False,
        description="the prior begins at mean and deviation of the first batch's code, not at 0 and 1",
    )
    last_in_closed_form: bool = Field(
        default=False,
        description="after the last epoch, set the model's map of the nuisance given the logits to its optimum",
    )

    @property
    def accepts(self) -> type:
        return Bijective

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        if self.last_in_closed_form:
            demand_last(model)
        curves = super().train(model, data, rng, journal)
        if self.last_in_closed_form:
            settle_last(model, self.learnt_from(data, model))
        return curves

    def auxiliary(self, model: nn.Module, data: Split, rng: Stream) -> Auxiliary:
        return self.fresh_prior(model, data) if self.mle_weight else nn.Module()

    def fresh_prior(self, model: nn.Module, data: Split) -> DiagonalGaussian:
        """A prior over the part of the code that has one, on the device of the data."""
        code = code_of_one(model, data)
        prior = DiagonalGaussian(self._under_prior(code).shape[1], self.prior_from_data)
        return prior.to(code.nuisance.device)

    def objective(
        self, net: InPrecision, auxiliary: Auxiliary, prepared: Batch, rng: Stream
    ) -> Objective:
        code = Code(*cast(Bijective, net).encode_with_log_det(prepared.x))
        terms = list(self.terms(auxiliary, code, prepared.y, rng))
        loss = sum((term.weight * term.value for term in terms), start=code.semantic.new_zeros(()))
        metrics = {name: number for term in terms for name, number in term.metrics.items()}
        return Objective(loss, code.semantic, metrics)

    def terms(self, auxiliary: Auxiliary, code: Code, y: Tensor, rng: Stream) -> Iterable[Term]:
        """The parts of the loss; those of weight 0 are left out."""
        if self.ce_weight:
            cross_entropy = F.cross_entropy(code.semantic, y)
            yield Term(self.ce_weight, cross_entropy, {"cross_entropy": cross_entropy})
        if self.mle_weight:
            log_density = cast(DiagonalGaussian, auxiliary)(self._under_prior(code)) + code.log_det
            bits = bits_per_dimension(
                log_density, code.semantic.shape[1] + code.nuisance.shape[1]
            ).mean()
            yield Term(self.mle_weight, bits, {"bits_per_dimension": bits})

    def _under_prior(self, code: Code) -> Tensor:
        return (
            code.nuisance
            if self.prior == "nuisance"
            else torch.cat([code.semantic, code.nuisance], dim=1)
        )


@dataclass(frozen=True)
class Code:
    """A bijection's semantic (B, K) and nuisance (B, D - K) part, and its log-determinant (B,) in nats."""

    semantic: Tensor
    nuisance: Tensor
    log_det: Tensor


@dataclass(frozen=True)
class Term:
    """A scalar of the loss, its weight, and what the curves tell of it."""

    weight: float
    value: Tensor
    metrics: dict[str, Tensor]


class DiagonalGaussian(nn.Module):
    """Independent normal densities of the dimensions of z, with learnt means and deviations.

    These are 0 and 1 at first; from_data: what the first batch has, whose deviation is no less than LEAST_STD.
    """

    waiting: Tensor

    def __init__(self, dimensions: int, from_data: bool = False) -> None:
        super().__init__()
        self.mean, self.log_std = (
            nn.Parameter(torch.zeros(dimensions)),
            nn.Parameter(torch.zeros(dimensions)),
        )
        self.register_buffer("waiting", torch.tensor(from_data))

    @torch.no_grad()
    def begin_at(self, z: Tensor) -> None:
        """Take mean and deviation from a batch (B, d)."""
        std, mean = torch.std_mean(z, dim=0, correction=0)
        self.mean.copy_(mean)
        self.log_std.copy_(std.clamp_min(LEAST_STD).log())
        self.waiting.fill_(False)

    def forward(self, z: Tensor) -> Tensor:
        """Log-density of z (B, d), in nats: (B,)."""
        if self.waiting:
            self.begin_at(z)
        standardised = (z - self.mean) * (-self.log_std).exp()
        return -(standardised.square() / 2 + self.log_std + math.log(2 * math.pi) / 2).sum(1)


def bits_per_dimension(log_density: Tensor, dimensions: int) -> Tensor:
    """-log2 of the probability of an 8-bit image over its D dimensions.

    log_density (B,), in nats, is that of pixels in [0, 1], dequantised: a level is 1 / 256 wide in each.

    >>> bits_per_dimension(torch.zeros(1), 784)  # uniform pixels
    tensor([8.])
    """
    return math.log2(256) - log_density / (dimensions * math.log(2))


def demand_last(model: nn.Module) -> BijectiveNet:
    """The model, which ends in a map of the nuisance. Raises InvspecError where it does not."""
    if not isinstance(model, BijectiveNet) or model.last is None:
        hint = "say nuisance_given_logits: true of a firevnet, or last_in_closed_form: false"
        raise InvspecError("the model has no last map to be set in closed form", hint=hint)
    return model


def settle_last(model: nn.Module, data: Split) -> None:
    """Set the model's last map to what makes images, as they are, likeliest under a Gaussian of each class."""
    with attackable(model):
        demand_last(model).fit_last(batch.x for batch in data.batches(READ))


def code_of_one(model: nn.Module, data: Split) -> Code:
    """The code of the first image, in eval mode and without a graph, to know the sizes of its parts."""
    (batch,) = data.head(1).batches(1)
    with attackable(model), torch.no_grad():
        return Code(*cast(Bijective, model).encode_with_log_det(batch.x))
