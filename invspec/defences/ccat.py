"""Confidence-calibrated adversarial training: larger perturbations, lower confidence."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.ops.transitions import power_transition
from invspec.registry.fields import default
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp, attack_batch
from invspec.training.fading import fade_labels
from invspec.training.fields import BatchSize, Decay, Epochs, LearningRate, Optimiser, Schedule
from invspec.training.prepared import PreparedTraining


class CCAT(PreparedTraining):
    """Train on clean and attacked images; labels fade with the size of the perturbation.

    An attacked image of label y gets the label weight * onehot(y) + (1 - weight) / K, where the
    weight is (1 - min(1, ||x_adv - x|| / eps)) ** rho in the norm of the attack: at eps and beyond
    the label is uniform, whether or not the attack succeeded. The loss is the mean cross-entropy
    with these probabilities over the whole batch, clean and attacked. The defaults are the recipe
    for MNIST.

    Raises: ValueError if the attack has no ball in pixels.

    Deviates: half of an odd batch is rounded to whole images, and all images of a batch have equal
    weight.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 100
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.1
    schedule: Schedule = "exponential"
    decay: Decay = 0.93
    # the attack of the authors' training; the start is drawn from zero, uniform_norm and gaussian
    attack: InnerAttack = default(
        "attack", "pgd_conf", eps=0.3, steps=40, step_size=0.005, backtracking=1.5, start="random"
    )
    clean_fraction: CleanFraction = 0.5
    ramp: Ramp = 0.0
    rho: Number = Field(
        default=12.0, gt=0, description="how fast labels fade: the exponent of the transition"
    )

    @model_validator(mode="after")
    def _attack_in_a_ball(self) -> Self:
        if not {"eps", "norm"} <= set(type(self.attack).model_fields):
            raise ValueError(
                f"labels fade with the size of a perturbation, but {type(self.attack).__name__} "
                "has no ball; use an attack with eps and norm"
            )
        space = getattr(self.attack, "eps_space", "pixel")
        if space != "pixel":
            raise ValueError(
                f"labels fade with the size in pixels, but the attack's eps_space is {space}; set "
                "eps_space: pixel"
            )
        return self

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The augmented batch, attacked, with faded labels."""
        clean = self.augment(batch, rng)
        attacked = attack_batch(
            self.attack, net, clean, progress, rng, ramp=self.ramp, clean=self.clean_fraction
        )
        return fade_labels(net, clean, attacked, self.label_weight)

    def label_weight(self, net: nn.Module, x: Tensor, x_adv: Tensor) -> Tensor:
        """The weight of the true label, (B,) in [0, 1]."""
        ball: Any = self.attack
        return power_transition(x_adv - x, ball.eps, self.rho, ball.norm)
