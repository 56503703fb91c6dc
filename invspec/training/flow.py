"""Training a bijection as a flow: the likelihood of images under a learnt prior over codes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Split
from invspec.kinds import Bijective, EndsInMap, Number
from invspec.ops.draws import Stream
from invspec.ops.modules import HostFlags, device_of
from invspec.training.loss import StepLoss
from invspec.training.modes import attackable

PriorPart = Literal["nuisance", "all"]
CrossEntropyWeight = Annotated[
    Number, Field(ge=0, description="weight of the cross-entropy of the logits, in nats")
]
LikelihoodWeight = Annotated[
    Number,
    Field(
        ge=0,
        description="weight of the negative log-likelihood, in bits per dimension; 0: no prior is "
        "learnt",
    ),
]
PriorOver = Annotated[
    PriorPart,
    Field(description="part of the code under the Gaussian prior; nuisance leaves the logits free"),
]
PriorFromData = Annotated[
    bool,
    Field(
        description="start the prior at mean and standard deviation of the first batch's codes, "
        "not at 0 and 1"
    ),
]
LastInClosedForm = Annotated[
    bool,
    Field(
        description="after the last epoch, set the model's map of the nuisance given the logits to "
        "its optimum"
    ),
]

# batch size where only codes are computed
IMAGES_PER_PASS = 256
# smallest standard deviation of a prior that starts from data: some pixels never change
MIN_STD = 1e-3


@dataclass(frozen=True)
class Code:
    """A bijection's semantic part (B, K), nuisance (B, D - K) and log-determinant (B,), in nats."""

    semantic: Tensor
    nuisance: Tensor
    log_det: Tensor

    @staticmethod
    def of(net: nn.Module, x: Tensor) -> Code:
        """The code of images x (B, C, H, W)."""
        return Code(*cast(Bijective, net).encode_with_log_det(x))

    def under_prior(self, part: PriorPart) -> Tensor:
        """The part of the code (B, d) that has a prior."""
        return self.nuisance if part == "nuisance" else torch.cat([self.semantic, self.nuisance], 1)


def code_of_first(model: nn.Module, data: Split) -> Code:
    """The code of the first image, for the sizes of its parts; in eval mode, without a graph."""
    (batch,) = data.head(1).to(device_of(model)).batches(1)
    with attackable(model), torch.no_grad():
        return Code.of(model, batch.x)


class DiagonalGaussian(HostFlags):
    """A Gaussian over z with a diagonal covariance; means and standard deviations are learnt.

    They start at 0 and 1, or if from_data at those of the first batch, with standard deviations of
    at least MIN_STD.
    """

    host_flags = ("waiting",)
    waiting: Tensor

    def __init__(self, dimensions: int, from_data: bool = False) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dimensions))
        self.log_std = nn.Parameter(torch.zeros(dimensions))
        # a buffer, so that a resumed training does not restart the prior
        self.register_buffer("waiting", torch.tensor(from_data))

    @torch.no_grad()
    def start_at(self, z: Tensor) -> None:
        """Set mean and standard deviation to those of a batch z (B, d)."""
        # correction 0, because a batch may be one image
        std, mean = torch.std_mean(z, dim=0, correction=0)
        self.mean.copy_(mean)
        self.log_std.copy_(std.clamp_min(MIN_STD).log())
        self.waiting.fill_(False)

    def forward(self, z: Tensor) -> Tensor:
        """Log-density of z (B, d), in nats: (B,)."""
        if self.waiting:
            self.start_at(z)
        standardised = (z - self.mean) * (-self.log_std).exp()
        return -(standardised.square() / 2 + self.log_std + math.log(2 * math.pi) / 2).sum(1)


def fresh_prior(code: Code, part: PriorPart, from_data: bool) -> DiagonalGaussian:
    """A prior over a part of codes like this one, on the same device."""
    dimensions = code.under_prior(part).shape[1]
    return DiagonalGaussian(dimensions, from_data).to(code.nuisance.device)


def bits_per_dimension(log_density: Tensor, dimensions: int) -> Tensor:
    """-log2 of the probability of an 8-bit image, divided by its number of dimensions D.

    log_density (B,), in nats, is that of dequantised pixels in [0, 1], whose levels are 1 / 256
    wide.

    >>> bits_per_dimension(torch.zeros(1), 784)  # uniform pixels
    tensor([8.])
    """
    return math.log2(256) - log_density / (dimensions * math.log(2))


@dataclass(frozen=True)
class Term:
    """One term of a loss: its weight, its value (a scalar), and scalars to log."""

    weight: float
    value: Tensor
    metrics: dict[str, Tensor]


def weighted_sum(terms: Iterable[Term], logits: Tensor) -> StepLoss:
    """The weighted sum of terms, as a loss."""
    terms = list(terms)
    # starts at a tensor: if all weights are 0, there are no terms
    value = sum((term.weight * term.value for term in terms), start=logits.new_zeros(()))
    metrics = {name: number for term in terms for name, number in term.metrics.items()}
    return StepLoss(value, logits, metrics)


@dataclass(frozen=True)
class FlowLoss:
    """Weighted sum of the cross-entropy of logits and the negative log-likelihood of images."""

    prior: DiagonalGaussian
    part: PriorPart
    ce_weight: float
    mle_weight: float

    def __call__(self, net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        code = Code.of(net, batch.x)
        return weighted_sum(self.terms(code, batch.y), code.semantic)

    def terms(self, code: Code, y: Tensor) -> Iterable[Term]:
        """The terms of the loss; those of weight 0 are left out."""
        if self.ce_weight:
            cross_entropy = F.cross_entropy(code.semantic, y)
            yield Term(self.ce_weight, cross_entropy, {"cross_entropy": cross_entropy})
        if self.mle_weight:
            log_density = self.prior(code.under_prior(self.part)) + code.log_det
            dimensions = code.semantic.shape[1] + code.nuisance.shape[1]
            bits = bits_per_dimension(log_density, dimensions).mean()
            yield Term(self.mle_weight, bits, {"bits_per_dimension": bits})


def fit_last_map(model: nn.Module, data: Split) -> None:
    """Fit the last map to unaugmented images: maximum likelihood under a Gaussian per class."""
    images = (batch.x for batch in data.to(device_of(model)).batches(IMAGES_PER_PASS))
    with attackable(model):
        cast(EndsInMap, model).fit_last(images)
