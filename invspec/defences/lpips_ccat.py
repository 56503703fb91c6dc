"""Confidence-calibrated adversarial training with labels that fade with perceptual distance."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.kinds import Attack, FeatureTraining, Number, Pixels
from invspec.ops.draws import Stream
from invspec.ops.norms import size
from invspec.ops.transitions import UNMOVED, sigmoid_transition
from invspec.perceptual.distances import Distance, distance, weights_read, with_offline_distance
from invspec.registry.fields import default
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp, attack_batch
from invspec.training.fading import fade_labels
from invspec.training.fields import BatchSize, Decay, Epochs, LearningRate, Optimiser, Schedule
from invspec.training.loop import fit
from invspec.training.prepared import PreparedTraining


class LPIPSCCAT(PreparedTraining, FeatureTraining):
    """CCAT with labels that fade with LPIPS and with the size in linf.

    The true label has weight sigmoid(rho ||delta||_inf (max_lpips / LPIPS - 1)), eq. 4: one half
    where LPIPS is max_lpips. As in the authors' code, perturbations are found by CCAT's attack in
    an linf ball whose radius is drawn uniformly from [min_eps, eps of the attack] for each batch,
    and LPIPS is measured on the result. Without min_eps the attack is used as given: with an attack
    in an LPIPS ball this is Algorithm 3 as printed, and labels keep at least half of their weight.

    Distance laidlaw_self compares features of the model under training, in eval mode, or of the net
    that a spec names as its `feature_net`.

    These distances have no scale that is known in advance, and the one of the model under training
    changes as it learns. With calibrate_at, max_lpips is not used: the weight is one half at the
    median distance, over the images of the batch that are attacked, that a change of all pixels by
    this much makes, with random signs. LPIPS of AlexNet has the median 0.03 at about 26/255 on
    CIFAR-10.

    Raises: InvspecError if a file of weights is missing or does not fit.

    Deviates: an unperturbed image keeps its whole label; the formula would halve it.
    """

    # version 1 took the median of calibrate_at over the images that moved; on a GPU, over all that
    # are attacked
    version: ClassVar[int] = 2

    epochs: Epochs = 40
    batch_size: BatchSize = 100
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.075
    schedule: Schedule = "exponential"
    decay: Decay = 0.95
    attack: InnerAttack = default(
        "attack",
        "pgd_conf",
        eps=12 / 255,
        steps=40,
        step_size=0.005,
        backtracking=1.5,
        start="random",
    )
    clean_fraction: CleanFraction = 0.5
    ramp: Ramp = 0.0
    min_eps: Pixels | None = Field(
        default=4 / 255,
        ge=0,
        description="smallest radius drawn for a batch; the attack's eps is the largest; null: no "
        "radius is drawn",
    )
    rho: Number = Field(
        default=100.0, gt=0, description="how fast labels fade: the slope of the transition"
    )
    max_lpips: Number = Field(
        default=0.03, gt=0, description="LPIPS at which the true label has weight one half"
    )
    distance: Distance = Field(
        default="lpips_alex", description="perceptual distance between two images"
    )
    calibrate_at: Pixels | None = Field(
        default=None,
        gt=0,
        le=1,
        description="linf size of random signs whose median distance replaces max_lpips",
    )

    @model_validator(mode="after")
    def _a_radius_can_be_drawn(self) -> Self:
        largest: Any = getattr(self.attack, "eps", None)
        if self.min_eps is not None and (largest is None or self.min_eps > largest):
            raise ValueError(
                f"expected min_eps at most the attack's eps, found min_eps {self.min_eps:g}, "
                f"eps {largest}"
            )
        return self

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    def smoke(self) -> Self:
        return with_offline_distance(super().smoke())

    @property
    def takes_features(self) -> bool:
        return self.distance == "laidlaw_self"

    def train_by(
        self, model: nn.Module, features: nn.Module, data: Split, rng: Stream, journal: Journal
    ) -> Curves:
        prepare = partial(self.prepare, features=features)
        return fit(model, data, rng, journal, self, prepare=prepare, loss=self.loss)

    def prepare(
        self,
        net: nn.Module,
        batch: Batch,
        progress: float,
        rng: Stream,
        features: nn.Module | None = None,
    ) -> Batch:
        """The augmented batch, attacked within a drawn radius, with faded labels.

        features: the net that distance laidlaw_self compares images by, if not the one that learns.
        """
        clean = self.augment(batch, rng)
        attacked = attack_batch(
            self.drawn_attack(rng),
            net,
            clean,
            progress,
            rng,
            ramp=self.ramp,
            clean=self.clean_fraction,
        )
        noisy = None
        if self.calibrate_at is not None:
            signs = torch.where(rng.uniform(tuple(clean.x.shape)) < 0.5, -1.0, 1.0).to(clean.x)
            noisy = (clean.x + self.calibrate_at * signs).clamp(*clean.bounds)
        weight = partial(self.label_weight, noisy=noisy, features=features)
        return fade_labels(net, clean, attacked, weight)

    def drawn_attack(self, rng: Stream) -> Attack:
        """The attack with a radius drawn for one batch."""
        if self.min_eps is None:
            return self.attack
        ball: Any = self.attack
        eps = self.min_eps + (ball.eps - self.min_eps) * rng.uniform((1,)).item()
        return ball.model_copy(update={"eps": eps})

    @torch.no_grad()
    def label_weight(
        self,
        net: nn.Module,
        x: Tensor,
        x_adv: Tensor,
        noisy: Tensor | None = None,
        features: nn.Module | None = None,
    ) -> Tensor:
        """The weight of the true label, (B,) in [0, 1].

        noisy (B, C, H, W), if any, are images whose median distance from x replaces max_lpips;
        features, if any, is the net that distance laidlaw_self compares images by.
        """
        delta, lpips = x_adv - x, x.new_zeros(len(x))
        half: Tensor | float = self.max_lpips
        first_attacked = round(self.clean_fraction * len(x))
        moved = self._moved(delta, first_attacked)
        if len(moved):
            between = distance(self.distance, net if features is None else features)
            lpips[moved] = between(x[moved], x_adv[moved]).to(lpips)
            if noisy is not None:
                half = between(x[first_attacked:], noisy[first_attacked:]).to(lpips).median()
        return sigmoid_transition(delta, lpips, half, self.rho)

    def _moved(self, delta: Tensor, first_attacked: int) -> Tensor:
        """Positions (M,) of images whose LPIPS is needed; an unperturbed one keeps its label.

        To ask a device which images moved is to wait for it; there, these are all that are
        attacked.
        """
        if delta.device.type == "cpu":
            return (size(delta, "linf") >= UNMOVED).nonzero().squeeze(1)
        return torch.arange(first_attacked, len(delta), device=delta.device)
