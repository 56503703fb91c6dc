"""The one training loop, and what all recipes have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Bounds, Curves, Journal, Split
from invspec.errors import InvspecError
from invspec.kinds import Attack, Defence, Number, Penalised
from invspec.ops.draws import Stream
from invspec.ops.geometry import Fill, Interpolation, rotate
from invspec.ops.norms import per_example

OptimiserName = Literal["sgd", "adam"]
ScheduleName = Literal["constant", "cosine", "one_cycle", "milestones", "exponential", "piecewise"]
Precision = Literal["float32", "bfloat16"]
Epochs = Annotated[int, Field(ge=1, description="passes over the training examples")]
BatchSize = Annotated[int, Field(ge=1, description="examples per update")]
Optimiser = Annotated[OptimiserName, Field(description="sgd or adam")]
LearningRate = Annotated[Number, Field(gt=0, description="learning rate; the highest, where a schedule changes it")]
Schedule = Annotated[
    ScheduleName,
    Field(
        description="course of lr: constant, cosine (to 0), one_cycle (straight up, straight down to 0), milestones, "
        "exponential (times decay after every epoch), or piecewise (straight from knot to knot)"
    ),
]
Decay = Annotated[Number, Field(gt=0, le=1, description="schedules milestones, exponential: factor of each drop")]

_SECONDS_BETWEEN_REPORTS = 0.5


class Training(Defence):
    """Minibatch descent on the cross-entropy. A subclass says in `lesson` what is learnt from a batch, in `loss` how.

    A model that is Penalised adds its penalty to the loss.

    Images are cropped, then mirrored, then turned by an angle that is uniform in [-max_degrees, max_degrees], then
    changed in contrast; all of it is drawn anew each epoch, and nothing is drawn for what is switched off.

    The learning rate depends on the number of updates done and on nothing else. Dropout draws from torch's global
    generator, which is seeded from rng at the start of each epoch and put back after it; so an epoch depends on the
    state at its start only, and a training that was killed goes on from its last epoch to the same weights.
    """

    epochs: Epochs = 50
    batch_size: BatchSize = 64
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.01
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of sgd; adam keeps its betas 0.9, 0.999")
    weight_decay: Number = Field(default=0.0, ge=0, description="coefficient of half the squared norm of all weights")
    schedule: Schedule = "constant"
    warmup: float = Field(
        default=0.3, ge=0, le=1, description="schedule one_cycle: share of the updates before the top"
    )
    milestones: tuple[int, ...] = Field(default=(), description="schedule milestones: epochs after which lr drops")
    decay: Decay = 0.1
    knots: tuple[tuple[Number, Number], ...] = Field(
        default=(), description="schedule piecewise: share of the updates done, and the factor of lr there"
    )
    max_gradient_norm: Number | None = Field(
        default=None, gt=0, description="shorten longer gradients of all weights to this l2 norm"
    )
    examples: int | None = Field(default=None, ge=1, description="learn from the first examples only; default: all")
    crop: int = Field(default=0, ge=0, description="shift images by up to so many pixels each way; zeros come in")
    flip: bool = Field(default=False, description="mirror every other image left to right, at random")
    contrast: Number = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="scale each image about its mean by a factor up to 1 - contrast, 1 + contrast",
    )
    max_degrees: float = Field(default=0.0, ge=0, le=180, description="half-width of random rotations, in degrees")
    interpolation: Interpolation = Field(default="bilinear", description="of rotations: bilinear or nearest")
    fill: Fill = Field(default="zero", description="what rotations bring in: zero, or the image reflected at its edge")
    precision: Precision = Field(
        default="float32",
        description="of passes through the model; weights, loss and updates are always float32, delicate attacks too",
    )

    @model_validator(mode="after")
    def _milestones_when_asked_for(self) -> Self:
        if (self.schedule == "milestones") != bool(self.milestones):
            raise ValueError(f"schedule {self.schedule} and milestones {list(self.milestones)} do not go together")
        if list(self.milestones) != sorted({m for m in self.milestones if 0 < m < self.epochs}):
            raise ValueError(f"milestones {list(self.milestones)} are not rising epochs below {self.epochs}")
        return self

    @model_validator(mode="after")
    def _knots_when_asked_for(self) -> Self:
        if (self.schedule == "piecewise") != bool(self.knots):
            raise ValueError(f"schedule {self.schedule} and {len(self.knots)} knots do not go together")
        at = [share for share, _ in self.knots]
        if at != sorted(at) or (at and (at[0], at[-1]) != (0, 1)) or min((f for _, f in self.knots), default=0) < 0:
            raise ValueError(f"knots are at {at}; expected rising shares from 0 to 1, with factors of 0 or more")
        return self

    def lesson(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """What to learn from in place of the batch: x (B, C, H, W), y (B,) int64 or probabilities (B, K).

        progress, in (0, 1), is the share of all updates that is done.
        """
        x = shifted(batch.x, self.crop, rng) if self.crop else batch.x
        x = mirrored(x, rng) if self.flip else x
        x = self._turned(x, rng) if self.max_degrees else x
        return replace(batch, x=contrasted(x, self.contrast, batch.bounds, rng) if self.contrast else x)

    def loss(self, net: nn.Module, lesson: Batch) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, of what `lesson` gave, and the logits (B, K) for it, one a label."""
        logits = net(lesson.x)
        return F.cross_entropy(logits, lesson.y), logits

    def _turned(self, x: Tensor, rng: Stream) -> Tensor:
        degrees = self.max_degrees * (2 * rng.uniform((len(x),)) - 1)
        return rotate(x, degrees.to(x.device), interpolation=self.interpolation, fill=self.fill)

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        device = device_of(model)
        data = (data if self.examples is None else data.head(self.examples)).to(device)
        state = _State(model, InPrecision(model, self.precision), self._optimiser_of(model), rng)
        state.restore(journal.resume())
        model.train()
        for epoch in range(len(state.history), self.epochs):
            with seeded(rng, device):
                state.history.append(self._epoch(state, data, epoch, journal))
            journal.save(state.saved())
        return {name: [numbers[name] for numbers in state.history] for name in state.history[0]}

    def _epoch(self, state: _State, data: Split, epoch: int, journal: Journal) -> dict[str, float]:
        """One pass over the data. Returns the mean loss and accuracy of what was learnt from."""
        net, optimiser, rng = state.net, state.optimiser, state.rng
        steps = math.ceil(len(data) / self.batch_size)
        log = _Log(journal, epoch, steps, total=self.epochs * steps)
        for step, batch in enumerate(data.batches(self.batch_size, shuffle=rng)):
            progress = (epoch + (step + 0.5) / steps) / self.epochs
            lesson = self.lesson(net, batch, progress, rng)
            loss, logits = self.loss(net, lesson)
            if isinstance(state.model, Penalised):
                loss = loss + state.model.penalty()
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate(progress)
            optimiser.zero_grad()
            loss.backward()
            if self.max_gradient_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters(), self.max_gradient_norm)
            optimiser.step()
            log.add(loss, logits, lesson.y)
        log.report()
        return named_means(log.read)

    def learning_rate(self, progress: float) -> float:
        """The learning rate when the share progress, in (0, 1), of all updates is done."""
        match self.schedule:
            case "constant":
                return self.lr
            case "cosine":
                return self.lr * (1 + math.cos(math.pi * progress)) / 2
            case "one_cycle":
                rising = progress < self.warmup
                return self.lr * (progress / self.warmup if rising else (1 - progress) / (1 - self.warmup))
            case "milestones":
                return self.lr * self.decay ** sum(progress * self.epochs > epoch for epoch in self.milestones)
            case "exponential":
                return self.lr * self.decay ** math.floor(progress * self.epochs)
            case "piecewise":
                shares, factors = zip(*self.knots, strict=True)
                return self.lr * float(np.interp(progress, shares, factors))

    def _optimiser_of(self, model: nn.Module) -> torch.optim.Optimizer:
        if self.optimiser == "adam":
            return torch.optim.Adam(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


class InPrecision(nn.Module):
    """The model as training and its inner attacks, but delicate ones, call it: the same weights, float32 in and out.

    Inside, bfloat16 is torch's autocast. Images come channels-last: on a CPU with AVX-512 that took 0.70 to 0.99 of the
    time in float32, and 0.53 to 0.98 in bfloat16, from LeNet to VGG16. What else the model offers (pixel_std, encode,
    decode) is passed on as it is, in float32.
    """

    model: nn.Module

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.model, self.low = model, precision == "bfloat16"

    def __getattr__(self, name: str) -> Any:
        """Only asked for what is not this module's own."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.low):
            logits = self.model(x.contiguous(memory_format=torch.channels_last))
        return logits.float() if self.low else logits


def searched_by(attack: Attack, model: nn.Module) -> nn.Module:
    """The model in training as an inner attack calls it: in float32, of whatever precision, where it is delicate."""
    if attack.delicate and isinstance(model, InPrecision) and model.low:
        return InPrecision(model.model, "float32").train(model.training)
    return model


@dataclass
class _State:
    """All that a training changes; history has the mean loss and accuracy of each finished epoch."""

    model: nn.Module
    net: InPrecision  # the same weights, as they are called
    optimiser: torch.optim.Optimizer
    rng: Stream
    history: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def saved(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.generator.get_state(),
            "history": self.history,
        }

    def restore(self, saved: dict[str, Any] | None) -> None:
        if saved is None:
            return
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.rng.generator.set_state(saved["rng"].cpu())
        self.history[:] = saved["history"]


class _Log:
    """The loss and accuracy of every update of an epoch; of soft labels, any that none exceeds is right.

    They stay on the device and are read a few times a second, since reading waits for the device.
    """

    def __init__(self, journal: Journal, epoch: int, steps: int, total: int) -> None:
        self.journal, self.epoch, self.steps, self.total = journal, epoch, steps, total
        self.unread: list[Tensor] = []
        self.read: list[list[float]] = []
        self.last = time.monotonic()

    def add(self, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        prediction = logits.argmax(1)
        right = prediction == y if y.ndim == 1 else y.gather(1, prediction[:, None])[:, 0] == y.amax(1)
        accuracy = right.to(loss.dtype).mean()
        self.unread.append(torch.stack([loss.detach(), accuracy]))
        if time.monotonic() - self.last > _SECONDS_BETWEEN_REPORTS:
            self.report()

    def report(self) -> None:
        """Tell the journal of what came since the last report. Raises InvspecError at a loss that is not finite."""
        if not self.unread:
            return
        latest: list[list[float]] = torch.stack(self.unread).tolist()
        for step, (loss, _) in enumerate(latest, start=len(self.read) + 1):
            if not math.isfinite(loss):
                place = f"epoch {self.epoch + 1}, step {step} of {self.steps}"
                raise InvspecError(f"the loss is {loss} in {place}", hint="lower lr, or let one_cycle raise it slowly")
        self.read += latest
        self.unread, self.last = [], time.monotonic()
        self.journal.step(self.epoch * self.steps + len(self.read), self.total, **named_means(latest))


def named_means(read: list[list[float]]) -> dict[str, float]:
    """Mean loss and accuracy of some updates."""
    loss, accuracy = (sum(column) / len(read) for column in zip(*read, strict=True))
    return {"loss": loss, "accuracy": accuracy}


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are. Raises InvspecError where it has none."""
    weight = next(model.parameters(), None)
    if weight is None:
        raise InvspecError("the model has no weights to train", hint="take the defence untrained")
    return weight.device


@contextmanager
def seeded(rng: Stream, device: torch.device) -> Generator[None]:
    """Seed torch's global generators, which dropout draws from, and put them back at the end."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(rng.integers(2**62, (1,)).item()))
        yield


@contextmanager
def attackable(model: nn.Module) -> Generator[nn.Module]:
    """The model as attacks see it, in eval mode with weights that need no gradient; both as before at the end."""
    learning, training = [weight for weight in model.parameters() if weight.requires_grad], model.training
    model.requires_grad_(False)  # before eval: equivariant layers then keep filters, which must hold no graph
    model.eval()
    try:
        yield model
    finally:
        for weight in learning:
            weight.requires_grad_()
        model.train(training)


def shifted(x: Tensor, most: int, rng: Stream) -> Tensor:
    """Move each image of x (B, C, H, W) by -most..most pixels down and across; zeros come in at the border."""
    (size, _, height, width), padded = x.shape, F.pad(x, [most] * 4)
    down, across = rng.integers(2 * most + 1, (2, size, 1)).to(x.device)
    rows, columns = (down + torch.arange(height, device=x.device)), (across + torch.arange(width, device=x.device))
    images = torch.arange(size, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def mirrored(x: Tensor, rng: Stream) -> Tensor:
    """Mirror each image of x (B, C, H, W) left to right with probability one half."""
    chosen = rng.integers(2, (len(x),)).bool().to(x.device)
    return torch.where(per_example(chosen, x), x.flip(3), x)


def contrasted(x: Tensor, most: float, bounds: Bounds, rng: Stream) -> Tensor:
    """Scale each image of x (B, C, H, W) about its mean by a factor uniform in [1 - most, 1 + most], within bounds."""
    factor = per_example(1 + most * (2 * rng.uniform((len(x),)).to(x.device) - 1), x)
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + factor * (x - mean)).clamp(*bounds)
