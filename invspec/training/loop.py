"""The one training loop, and what all recipes have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.kinds import Defence, Degrees, Number, Penalised
from invspec.ops.draws import Stream
from invspec.ops.geometry import Fill, Interpolation, rotate
from invspec.training.augmentation import contrasted, dequantised, enlarged, mirrored, shifted
from invspec.training.auxiliary import Auxiliary
from invspec.training.fields import (
    BatchSize,
    Decay,
    Epochs,
    LearningRate,
    Optimiser,
    Precision,
    Schedule,
    Share,
)
from invspec.training.log import Log
from invspec.training.modes import device_of, seeded
from invspec.training.objective import Objective
from invspec.training.precision import InPrecision


class Training(Defence):
    """Minibatch descent on the cross-entropy. A subclass says in `prepare` what is learnt from a batch, in `loss` how.

    A model that is Penalised adds its penalty to the loss.

    Of each image a random box is enlarged to the whole, which is then cropped, then mirrored, then turned by an angle
    that is uniform in [-max_degrees, max_degrees], then changed in contrast, then dequantised by u uniform in [0, 1)
    for each pixel; all of it is drawn anew each epoch, and nothing is drawn for what is switched off.

    A subclass that trains something beside the model, like a rival or a prior, gives it as its `auxiliary`, and says in
    `objective` what an update descends on.

    The learning rate depends on the number of updates done and on nothing else. Dropout draws from torch's global
    generator, which is seeded from rng at the start of each epoch and put back after it; so an epoch depends on the
    state at its start only, and a training that was killed goes on from its last epoch to the same weights.
    """

    epochs: Epochs = 50
    batch_size: BatchSize = 64
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.01
    momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="momentum of sgd; adam and adamax keep their betas 0.9, 0.999",
    )
    weight_decay: Number = Field(
        default=0.0, ge=0, description="coefficient of half the squared norm of all weights"
    )
    schedule: Schedule = "constant"
    warmup: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="schedule one_cycle: share of the updates before the top",
    )
    milestones: tuple[int, ...] = Field(
        default=(), description="schedule milestones: epochs after which lr drops"
    )
    decay: Decay = 0.1
    knots: tuple[tuple[Number, Number], ...] = Field(
        default=(),
        description="schedule piecewise: share of the updates done, and the factor of lr there",
    )
    max_gradient_norm: Number | None = Field(
        default=None, gt=0, description="shorten longer gradients of all weights to this l2 norm"
    )
    examples: int | None = Field(
        default=None, ge=1, description="learn from the first examples only; default: all"
    )
    resized_crop: tuple[Share, Share] | None = Field(
        default=None,
        description="enlarge a random box of each image to the whole, bilinear: least and greatest share of its area, "
        "[0.08, 1] for ImageNet; its sides are 3:4 to 4:3",
    )
    crop: int = Field(
        default=0, ge=0, description="shift images by up to so many pixels each way; zeros come in"
    )
    flip: bool = Field(
        default=False, description="mirror every other image left to right, at random"
    )
    contrast: Number = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="scale each image about its mean by a factor up to 1 - contrast, 1 + contrast",
    )
    dequantise: bool = Field(
        default=False,
        description="add noise to 8-bit pixels that fills the gaps between levels: (255 x + u) / 256",
    )
    max_degrees: Degrees = Field(
        default=0.0, ge=0, le=180, description="half-width of random rotations, in degrees"
    )
    interpolation: Interpolation = Field(
        default="bilinear", description="of rotations: bilinear or nearest"
    )
    fill: Fill = Field(
        default="zero",
        description="what rotations bring in: zero, or the image reflected at its edge",
    )
    precision: Precision = Field(
        default="float32",
        description="of passes through the model; weights, loss and updates are always float32, needs_float32 attacks too",
    )

    @model_validator(mode="after")
    def _milestones_when_asked_for(self) -> Self:
        if (self.schedule == "milestones") != bool(self.milestones):
            raise ValueError(
                f"schedule {self.schedule} and milestones {list(self.milestones)} do not go together"
            )
        if list(self.milestones) != sorted({m for m in self.milestones if 0 < m < self.epochs}):
            raise ValueError(
                f"milestones {list(self.milestones)} are not rising epochs below {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def _knots_when_asked_for(self) -> Self:
        if (self.schedule == "piecewise") != bool(self.knots):
            raise ValueError(
                f"schedule {self.schedule} and {len(self.knots)} knots do not go together"
            )
        at = [share for share, _ in self.knots]
        if (
            at != sorted(at)
            or (at and (at[0], at[-1]) != (0, 1))
            or min((f for _, f in self.knots), default=0) < 0
        ):
            raise ValueError(
                f"knots are at {at}; expected rising shares from 0 to 1, with factors of 0 or more"
            )
        return self

    @model_validator(mode="after")
    def _boxes_from_small_to_large(self) -> Self:
        if self.resized_crop is not None and self.resized_crop[0] > self.resized_crop[1]:
            raise ValueError(
                f"resized_crop {list(self.resized_crop)} is no range; give the smaller share first"
            )
        return self

    def prepare(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """What to learn from in place of the batch: x (B, C, H, W), y (B,) int64 or probabilities (B, K).

        progress, in (0, 1), is the share of all updates that is done.
        """
        x = batch.x if self.resized_crop is None else enlarged(batch.x, self.resized_crop, rng)
        x = shifted(x, self.crop, rng) if self.crop else x
        x = mirrored(x, rng) if self.flip else x
        x = self._turned(x, rng) if self.max_degrees else x
        x = contrasted(x, self.contrast, batch.bounds, rng) if self.contrast else x
        return replace(batch, x=dequantised(x, rng) if self.dequantise else x)

    def loss(self, net: nn.Module, prepared: Batch) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, of what `prepare` gave, and the logits (B, K) for it, one a label."""
        logits = net(prepared.x)
        return F.cross_entropy(logits, prepared.y), logits

    def auxiliary(self, model: nn.Module, data: Split, rng: Stream) -> Auxiliary:
        """What learns beside the model and is forgotten after the training; here nothing."""
        return nn.Module()

    def objective(
        self, net: InPrecision, auxiliary: Auxiliary, prepared: Batch, rng: Stream
    ) -> Objective:
        """What one update of the model and of its auxiliary's parameters descends on. May update others before."""
        return Objective(*self.loss(net, prepared))

    def _turned(self, x: Tensor, rng: Stream) -> Tensor:
        degrees = self.max_degrees * (2 * rng.uniform((len(x),)) - 1)
        return rotate(x, degrees.to(x.device), interpolation=self.interpolation, fill=self.fill)

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        device, data = device_of(model), self.learnt_from(data, model)
        auxiliary = self.auxiliary(model, data, rng)
        weights = [*model.parameters(), *auxiliary.parameters()]
        state = _State(
            model,
            InPrecision(model, self.precision),
            auxiliary,
            self.optimiser_of(weights, self.lr),
            rng,
        )
        state.restore(journal.resume())
        model.train()
        for epoch in range(len(state.history), self.epochs):
            with seeded(rng, device):
                state.history.append(self._epoch(state, data, epoch, journal))
            journal.save(state.saved())
        return {name: [numbers[name] for numbers in state.history] for name in state.history[0]}

    def learnt_from(self, data: Split, model: nn.Module) -> Split:
        """The examples that are learnt from, on the model's device."""
        return (data if self.examples is None else data.head(self.examples)).to(device_of(model))

    def _epoch(self, state: _State, data: Split, epoch: int, journal: Journal) -> dict[str, float]:
        """One pass over the data. Returns the mean loss and accuracy of what was learnt from, and what else is metrics."""
        net, optimiser, rng = state.net, state.optimiser, state.rng
        weights = [*net.parameters(), *state.auxiliary.parameters()]
        steps = math.ceil(len(data) / self.batch_size)
        order = rng.fork(f"order of epoch {epoch}")  # the same whatever a recipe draws besides
        log = Log(journal, epoch, steps, total=self.epochs * steps)
        for step, batch in enumerate(data.batches(self.batch_size, shuffle=order)):
            progress = (epoch + (step + 0.5) / steps) / self.epochs
            prepared = self.prepare(net, batch, progress, rng)
            objective = self.objective(net, state.auxiliary, prepared, rng)
            if isinstance(state.model, Penalised):
                objective = replace(objective, loss=objective.loss + state.model.penalty())
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate(progress)
            optimiser.zero_grad()
            objective.loss.backward()
            if self.max_gradient_norm is not None:
                nn.utils.clip_grad_norm_(weights, self.max_gradient_norm)
            optimiser.step()
            log.add(objective, prepared.y)
        log.report()
        return log.means(log.read)

    def learning_rate(self, progress: float) -> float:
        """The learning rate when the share progress, in (0, 1), of all updates is done."""
        match self.schedule:
            case "constant":
                return self.lr
            case "cosine":
                return self.lr * (1 + math.cos(math.pi * progress)) / 2
            case "one_cycle":
                rising = progress < self.warmup
                return self.lr * (
                    progress / self.warmup if rising else (1 - progress) / (1 - self.warmup)
                )
            case "milestones":
                return self.lr * self.decay ** sum(
                    progress * self.epochs > epoch for epoch in self.milestones
                )
            case "exponential":
                return self.lr * self.decay ** math.floor(progress * self.epochs)
            case "piecewise":
                shares, factors = zip(*self.knots, strict=True)
                return self.lr * float(np.interp(progress, shares, factors))

    def optimiser_of(self, weights: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """A fresh optimiser of the kind that the training has."""
        match self.optimiser:
            case "sgd":
                return torch.optim.SGD(
                    weights, lr=lr, momentum=self.momentum, weight_decay=self.weight_decay
                )
            case "adam":
                return torch.optim.Adam(weights, lr=lr, weight_decay=self.weight_decay)
            case "adamax":
                return torch.optim.Adamax(weights, lr=lr, weight_decay=self.weight_decay)


@dataclass
class _State:
    """All that a training changes; history has the mean loss and accuracy, and what else is metrics, of each epoch."""

    model: nn.Module
    net: InPrecision  # the same weights, as they are called
    auxiliary: Auxiliary
    optimiser: torch.optim.Optimizer
    rng: Stream
    history: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def saved(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "auxiliary": self.auxiliary.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.generator.get_state(),
            "history": self.history,
        }

    def restore(self, saved: dict[str, Any] | None) -> None:
        if saved is None:
            return
        self.model.load_state_dict(saved["model"])
        self.auxiliary.load_state_dict(saved["auxiliary"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.rng.generator.set_state(saved["rng"].cpu())
        self.history[:] = saved["history"]
