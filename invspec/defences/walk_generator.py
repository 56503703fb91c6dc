"""Training of a generator that moves a source to a target at constant confidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.kinds import Confidence, GeneratorTraining, Number
from invspec.ops.clamp import clamped
from invspec.ops.draws import Stream
from invspec.ops.losses import total_variation
from invspec.perceptual.distances import Distance, distance, weights_read, with_offline_distance
from invspec.search.target_walk import confidence_in
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser, Schedule
from invspec.training.loop import fit
from invspec.training.loss import StepLoss
from invspec.training.recipe import Recipe

# the label of a target where a batch has none for a source
NO_TARGET = -1
# the least confidence whose logarithm is taken, the least squared length that divides
TINY = 1e-6


class WalkGenerator(Recipe, GeneratorTraining):
    """Fit a generator G to minimise, over pairs of a source x and a target t of another class,

        distance(G(x, t), t) + weight * relu(log(f_j(x) - aimed_drop) - log f_j(G(x, t)))
            + tv_weight * TV(G(x, t) - t)

    where f is the frozen classifier and j its prediction for x. The second term is zero where the
    image keeps the confidence in j but for aimed_drop; objective match, that of the logit-space
    attack, replaces it by weight times the squared distance between the centred logits of image and
    source, relative to the squared length of the source's, as nets differ in the scale of their
    logits. Targets are drawn from the batch: each source has one of the images of other labels.

    Needs a model that makes images, (B, 2C, H, W) to (B, C, H, W); these are clamped to the bounds
    of pixels. TV is the sum of absolute differences of neighbours, divided by the number of pixels.

    Deviates: the paper names generative adversarial networks and gives no objective. There is no
    discriminator here: the target itself is the image to resemble.
    """

    epochs: Epochs = 40
    batch_size: BatchSize = 100
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-3
    schedule: Schedule = "one_cycle"
    objective: Literal["confidence", "match"] = Field(
        default="confidence",
        description="keep the confidence in the class of the source, or match all of its logits",
    )
    weight: Number = Field(default=0.3, gt=0, description="weight of the classifier's term")
    aimed_drop: Confidence = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="loss of confidence that costs nothing; less than the max_drop of the attack, "
        "as images of new pairs lose more",
    )
    tv_weight: Number = Field(
        default=0.0, ge=0, description="weight of the total variation of image minus target"
    )
    distance: Distance = Field(default="lpips_alex", description="from the image to the target")

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    def smoke(self) -> Self:
        """Use a distance that needs no download."""
        return with_offline_distance(super().smoke())

    def train_against(
        self,
        generator: nn.Module,
        classifier: nn.Module,
        data: Split,
        rng: Stream,
        journal: Journal,
    ) -> Curves:
        def prepare(net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
            return self.prepare(classifier, batch, rng)

        def loss(net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
            return self.loss(classifier, net, batch)

        return fit(generator, data, rng, journal, self, prepare=prepare, loss=loss)

    def prepare(self, classifier: nn.Module, batch: Batch, rng: Stream) -> Batch:
        """The augmented batch as pairs, y being what the classifier predicts for the sources."""
        pairs = with_targets(self.augment(batch, rng), rng)
        with torch.no_grad():
            return replace(pairs, y=classifier(pairs.x).argmax(1))

    def loss(self, classifier: nn.Module, net: nn.Module, batch: Batch) -> StepLoss:
        """The loss on a batch of pairs; a source without a target does not count."""
        x_target = batch.targets
        made = clamped(net(torch.cat([batch.x, x_target], dim=1)), batch.bounds)
        with torch.no_grad():
            clean = classifier(batch.x)
        logits = classifier(made)
        left = distance(self.distance, classifier)(made, x_target)
        term = self.kept(logits, clean, batch.y)
        roughness = total_variation(made - x_target) / made[0].numel()
        counts = (batch.y_target != NO_TARGET).to(left.dtype)

        def average(values: Tensor) -> Tensor:
            return (counts * values).sum() / counts.sum().clamp_min(1)

        value = average(left + self.weight * term + self.tv_weight * roughness)
        return StepLoss(value, logits, {"distance": average(left), "term": average(term)})

    def kept(self, logits: Tensor, clean: Tensor, label: Tensor) -> Tensor:
        """The classifier's term (B,), at logits (B, K) of images and clean (B, K) of sources."""
        if self.objective == "match":
            gap, scale = (squared_length(z) for z in (logits - clean, clean))
            return gap / scale.clamp_min(TINY)
        least = confidence_in(clean, label) - self.aimed_drop
        log_probs = logits.log_softmax(1).gather(1, label.unsqueeze(1)).squeeze(1)
        return (least.clamp_min(TINY).log() - log_probs).relu()


def squared_length(logits: Tensor) -> Tensor:
    """The squared length (B,) of logits (B, K) less their mean, which changes no probability."""
    return (logits - logits.mean(1, keepdim=True)).square().sum(1)


def with_targets(batch: Batch, rng: Stream) -> Batch:
    """The batch with a target for each source, drawn from its images of other labels.

    y_target is NO_TARGET where there is none; the target is then an image of the same label.
    """
    draws = rng.uniform((len(batch), len(batch))).to(batch.x.device)
    others = batch.y[:, None] != batch.y[None, :]
    chosen = torch.where(others, draws, -1.0).argmax(1)
    y_target = torch.where(others.any(1), batch.y[chosen], NO_TARGET)
    return replace(batch, x_target=batch.x[chosen], y_target=y_target)
