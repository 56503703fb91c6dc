"""Confidence-calibrated adversarial training whose labels fade with what can be seen of a perturbation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from invspec.attacks.pgd_conf import PGDConf
from invspec.data import Batch
from invspec.defences.ccat import FadingLabels
from invspec.files.state_dicts import load_weights
from invspec.kinds import Number, Pixels
from invspec.ops.draws import Stream
from invspec.ops.norms import size
from invspec.ops.transitions import UNMOVED, sigmoid_transition
from invspec.ops.types import Shape
from invspec.perceptual.distances import Distance, distance, offline, weights_read
from invspec.registry.fields import AttackField, ModelField
from invspec.training.fields import Decay, Epochs, LearningRate


class FeatureNet(BaseModel, frozen=True, extra="forbid"):
    """A net trained elsewhere, of whose features a distance is made. Its classes are those of the model in training."""

    model: ModelField = Field(description="its architecture: use, and the fields of a model")
    file: str = Field(
        min_length=1, description="its weights: a path from the folder INVSPEC_DATA, or absolute"
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, 64 hexadecimal digits"
    )
    entry: str = Field(
        default="", description="where in the file the state dict stands; default: it is the file"
    )


class LPIPSCCAT(FadingLabels):
    """Train on half a batch as it is and half perturbed, whose labels fade with LPIPS and with the size in linf.

    The weight of the label is sigmoid(rho ||delta||_inf (max_lpips / LPIPS - 1)), eq. 4: a half where LPIPS is
    max_lpips. As in the authors' code, perturbations are CCAT's, in an linf ball whose radius is drawn for each batch,
    uniform in [min_eps, eps of the attack]; LPIPS is measured on what comes out. Without min_eps the attack is as it is
    given: one in an LPIPS ball makes Algorithm 3 as printed, and labels then keep at least half of their weight.

    Distance laidlaw_self is that of the features of the model in training, in eval mode, or of a robust net that
    `features` names. A smoke run takes the model in training, which needs no file.

    Raises: InvspecError where a file of weights is missing or does not fit.

    Deviates: an image that is not moved keeps its label; the formula would give it half.
    """

    epochs: Epochs = 40
    lr: LearningRate = 0.075
    decay: Decay = 0.95
    attack: AttackField = Field(
        default=PGDConf(eps=12 / 255, steps=40, step_size=0.005, backtracking=1.5, start="random"),
        description="what the model is trained against",
    )
    min_eps: Pixels | None = Field(
        default=4 / 255,
        ge=0,
        description="least radius drawn for a batch, the attack's eps being the largest; or none",
    )
    rho: Number = Field(
        default=100.0, gt=0, description="how fast the label fades: the slope of the transition"
    )
    max_lpips: Number = Field(
        default=0.03, gt=0, description="distance at which half of the label is left"
    )
    distance: Distance = Field(default="lpips_alex", description="how far apart two images look")
    features: FeatureNet | None = Field(
        default=None,
        description="distance laidlaw_self: a trained net in place of the model in training",
    )

    @model_validator(mode="after")
    def _radius_to_draw(self) -> Self:
        largest: Any = getattr(self.attack, "eps", None)
        if self.min_eps is not None and (largest is None or self.min_eps > largest):
            raise ValueError(
                f"no radius can be drawn from [{self.min_eps:g}, {largest}], min_eps to the attack's eps"
            )
        return self

    @model_validator(mode="after")
    def _features_that_are_asked(self) -> Self:
        if self.features is not None and self.distance != "laidlaw_self":
            raise ValueError(
                f"features are compared by distance laidlaw_self, not by {self.distance}"
            )
        return self

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    def smoke(self) -> Self:
        return (
            super()
            .smoke()
            .model_copy(update={"distance": offline(self.distance), "features": None})
        )

    def attacked(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        return super(LPIPSCCAT, self.at_radius(rng)).attacked(model, batch, progress, rng)

    def at_radius(self, rng: Stream) -> Self:
        """The same, with an attack whose radius is drawn for one batch."""
        if self.min_eps is None:
            return self
        ball: Any = self.attack
        eps = self.min_eps + (ball.eps - self.min_eps) * rng.uniform((1,)).item()
        return self.model_copy(update={"attack": ball.model_copy(update={"eps": eps})})

    @torch.no_grad()
    def label_weight(self, model: nn.Module, x: Tensor, x_adv: Tensor) -> Tensor:
        delta, lpips = x_adv - x, x.new_zeros(len(x))
        moved = (size(delta, "linf") >= UNMOVED).nonzero().squeeze(1)
        if len(moved):
            apart = distance(self.distance, self._judge(model, x))
            lpips[moved] = apart(x[moved], x_adv[moved]).to(lpips)
        return sigmoid_transition(delta, lpips, self.max_lpips, self.rho)

    def _judge(self, model: nn.Module, x: Tensor) -> nn.Module:
        """Whose features distance laidlaw_self compares."""
        if self.features is None:
            return model
        channels, height, width = x.shape[1:]
        classes = model(x[:1]).shape[1]
        return _loaded(self.features, (channels, height, width), classes, x.device)


@lru_cache(maxsize=2)
def _loaded(features: FeatureNet, shape: Shape, classes: int, device: torch.device) -> nn.Module:
    """The net of some features, once a process and device."""
    with torch.random.fork_rng(
        []
    ):  # initial weights, which are replaced, must not move the training's generator
        net = features.model.build(shape, classes)
    load_weights(net, features.file, features.sha256, features.entry)
    return features.model.deploy(net).to(device)
