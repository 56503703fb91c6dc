"""Confidence-calibrated adversarial training: the further an image is moved, the less sure the model shall be."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.attacks.pgd_conf import PGDConf
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.ops.transitions import faded, power_transition
from invspec.registry.fields import AttackField
from invspec.search.gradients import logits_of
from invspec.training.fields import BatchSize, Decay, Epochs, LearningRate, Optimiser, Schedule
from invspec.training.modes import attackable


class FadingLabels(AdversarialTraining):
    """Adversarial training towards a label that fades, as the perturbation grows, into no class more than another.

    An attacked image x' of label y is learnt as weight * onehot(y) + (1 - weight) / K. A clean image has weight 1. The
    loss is the cross-entropy with these probabilities, its mean over the clean and the attacked part of a batch
    together. No gradient passes through the weight or the attack.
    """

    batch_size: BatchSize = 100
    optimiser: Optimiser = "sgd"
    schedule: Schedule = "exponential"
    clean_fraction: float = Field(
        default=0.5, ge=0, le=1, description="share of each batch that is not attacked"
    )

    def attacked(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        prepared = super().attacked(model, batch, progress, rng)
        with attackable(model):
            classes = logits_of(model, batch.x[:1]).shape[1]
            weight = self.label_weight(model, batch.x, prepared.x)
        return replace(prepared, y=faded(batch.y, weight, classes))

    @abstractmethod
    def label_weight(self, model: nn.Module, x: Tensor, x_adv: Tensor) -> Tensor:
        """How much of the label is left, (B,) in [0, 1], 1 where x_adv is x (B, C, H, W)."""


class CCAT(FadingLabels):
    """Train on half a batch as it is and half perturbed towards confident errors, whose labels fade with their size.

    The weight of the label is (1 - min(1, ||x_adv - x|| / eps)) ** rho, with eps and the norm of the attack: nothing of
    it is left on the sphere of radius eps, whether the attack succeeded or not. The defaults are the recipe for MNIST.

    Raises: ValueError where the attack has no ball in pixels.

    Deviates: half of an odd batch is rounded to whole images, and all images of a batch weigh the same.
    """

    epochs: Epochs = 100
    lr: LearningRate = 0.1
    decay: Decay = 0.93
    attack: AttackField = Field(
        default=PGDConf(eps=0.3, steps=40, step_size=0.005, backtracking=1.5, start="random"),
        description="what the model is trained against",
    )
    rho: Number = Field(
        default=12.0, gt=0, description="how fast the label fades: the exponent of the transition"
    )

    @model_validator(mode="after")
    def _attack_in_a_ball(self) -> Self:
        if not {"eps", "norm"} <= set(type(self.attack).model_fields):
            raise ValueError(
                f"labels fade with the size of a perturbation, and {type(self.attack).__name__} has no ball"
            )
        if getattr(self.attack, "eps_space", "pixel") != "pixel":
            raise ValueError(
                "labels fade with a size in pixels; give the attack's eps in pixels: eps_space pixel"
            )
        return self

    def label_weight(self, model: nn.Module, x: Tensor, x_adv: Tensor) -> Tensor:
        ball: Any = self.attack
        return power_transition(x_adv - x, ball.eps, self.rho, ball.norm)
