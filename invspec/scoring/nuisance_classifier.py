"""A classifier of a trained net's codes, which shows how much label information they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Examples, IndexedSplit, Journal, Split, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Bijective, Measure, Number, plain
from invspec.ops.draws import Stream
from invspec.ops.modules import device_of
from invspec.ops.types import REALS, Bounds
from invspec.scoring.pairs import READ, class_count
from invspec.training.loop import fit
from invspec.training.modes import seeded
from invspec.training.recipe import Recipe

Features = Literal["nuisance", "semantic", "all", "pixels"]


# x (B, C, H, W) to (B, d, 1, 1) float32, on the device of the net
Code = Callable[[Tensor], Tensor]

# numbers of codes that are held, 1 GiB; more of them are computed anew in each pass
HELD = 2**28

# a dimension whose deviation is this small beside the largest one varies only by rounding
NEGLIGIBLE = 1e-6


class NuisanceClassifierMeasure(Measure):
    """Base class of measures that fit a nuisance classifier D_nc to the codes of clean images.

    D_nc has three linear layers with ReLU. The net is frozen, in eval mode, and its codes are not
    augmented. They are standardised by the mean and deviation of each dimension over the training
    examples. That is affine and invertible, so it changes no information: a dimension that is
    constant but for rounding is divided by the largest deviation of all, not by its own.

    Minibatch descent (adam, one cycle of lr) on the cross-entropy. A share of the training
    examples is held out; the weights of the epoch with the least cross-entropy on it are kept.
    Initial weights, held-out examples and order depend on the fields alone, and no training ends
    early, so that every net is judged by a classifier of the same budget.
    """

    hidden: int = Field(default=512, ge=1, description="units of each of the two hidden layers")
    epochs: int = Field(default=10, ge=1, description="passes over the training examples")
    batch_size: int = Field(default=256, ge=1, description="examples per update")
    lr: Number = Field(
        default=1e-3,
        gt=0,
        description="peak learning rate of adam, which rises and falls linearly",
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of hidden units dropped in each update"
    )
    validation: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of training examples that selects the epoch; 0: the last epoch",
    )

    def fit(self, model: nn.Module, train: Examples, features: Features) -> NuisanceClassifier:
        """Fit a classifier to the features of clean images.

        Raises: InvspecError where there are too few examples, or where codes are not finite.
        """
        device, rng = (
            device_of(model),
            Stream(f"nuisance classifier {json.dumps(self._recipe(features))}"),
        )
        chosen, learnt = self._divided(
            held(Encoded(train.clean, code(model, features))).to(device), rng
        )
        # built on the CPU, so that its first weights do not depend on the device
        with seeded(rng, torch.device("cpu")):
            net = self._net(learnt, class_count(model, train)).to(device)
        # without held-out examples the weights of the last epoch stay
        journal = Journal() if chosen is None else BestEpoch(net, chosen)
        fit(net, learnt, rng, journal, self._training())
        if isinstance(journal, BestEpoch):
            net.load_state_dict(journal.weights)
        return NuisanceClassifier(code(model, features), net.eval().requires_grad_(False), learnt)

    def _recipe(self, features: Features) -> dict[str, Any]:
        """All that a fit depends on, except the net and the examples."""
        return {"features": features} | {
            name: plain(getattr(self, name)) for name in NuisanceClassifierMeasure.model_fields
        }

    def _divided(self, codes: Split, rng: Stream) -> tuple[Split | None, Split]:
        """The held-out examples, if any, and those to learn from."""
        order = rng.permutation(len(codes))
        count = max(round(self.validation * len(codes)), 1) if self.validation else 0
        if len(codes) - count < 1:
            raise InvspecError(
                f"{len(codes)} examples are too few to fit a classifier to",
                hint="widen the sample of the first attack",
            )
        return (codes.take(order[:count].sort().values) if count else None), codes.take(
            order[count:].sort().values
        )

    def _net(self, learnt: Split, classes: int) -> nn.Sequential:
        standardise = StandardiseCodes(*moments(learnt))
        widths = (standardise.mean.numel(), self.hidden, self.hidden)
        layers: list[nn.Module] = []
        for above, below in pairwise(widths):
            layers += [nn.Linear(above, below), nn.ReLU(), nn.Dropout(self.dropout)]
        return nn.Sequential(nn.Flatten(), standardise, *layers, nn.Linear(self.hidden, classes))

    def _training(self) -> Recipe:
        return Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimiser="adam",
            lr=self.lr,
            schedule="one_cycle",
        )


@dataclass(frozen=True)
class NuisanceClassifier:
    """D_nc on the codes of images; learnt holds the codes to which it was fitted."""

    code: Code
    net: nn.Module
    learnt: Split

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, K) of images x (B, C, H, W)."""
        return self.net(self.code(x))

    def codes(self, images: Split) -> Split:
        """The codes of images, as log_probs takes them."""
        return Encoded(images, self.code)

    def log_probs(self, codes: Split) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N, K), in nats, and labels (N,) of codes, both on the CPU."""
        return log_probs(self.net, codes)


@torch.no_grad()
def log_probs(net: nn.Module, codes: Split) -> tuple[Tensor, Tensor]:
    """A net's log-probabilities (N, K) float64 of codes, and their labels (N,), on the CPU."""
    batches = [
        (net(batch.x).double().log_softmax(1).cpu(), batch.y.cpu()) for batch in codes.batches(READ)
    ]
    log_p, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return log_p, y


# ─ codes ──────────────────────────────────────────────────────────────────────────────────────


def code(model: nn.Module, features: Features) -> Code:
    """The function from images to the classifier's input: parts of the code, or the pixels."""
    device = device_of(model)

    @torch.no_grad()
    def read(x: Tensor) -> Tensor:
        if features == "pixels":
            input_ = x.to(device)
        else:
            semantic, nuisance = cast(Bijective, model).encode(x.to(device))
            both = torch.cat([semantic.flatten(1), nuisance.flatten(1)], dim=1)
            input_ = {"semantic": semantic, "nuisance": nuisance, "all": both}[features]
        # (B, d, 1, 1), because a split holds images
        return input_.flatten(1).float()[:, :, None, None]

    return read


@dataclass(frozen=True)
class Encoded(IndexedSplit):
    """A split whose x (B, d, 1, 1) are the codes of its images, computed in every pass.

    Codes are on the net's device; `to` moves the labels. A code may have any value.
    """

    images: Split
    code: Code
    bounds: Bounds = REALS
    index: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", self.images.index)

    def take(self, positions: Tensor) -> Encoded:
        """The examples at positions (M,), which keep their index."""
        return replace(self, images=self.images.take(positions))

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.images.labels()

    def to(self, device: torch.device | str) -> Encoded:
        """The same examples with their labels on another device."""
        return replace(self, images=self.images.to(device))

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in the order of the images."""
        return self._encoded(self.images.batches(size, shuffle))

    def read(self, chunks: Iterable[Tensor]) -> Iterator[Batch]:
        """The batch at each chunk of positions."""
        for positions in chunks:
            size = max(len(positions), 1)
            yield from self._encoded(self.images.take(positions).batches(size))

    def _encoded(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            x = self.code(batch.x)
            yield Batch(x, batch.y.to(x.device), batch.index, self.bounds)


def held(codes: Encoded) -> Split:
    """The same codes, in memory if they are few."""
    (first,) = codes.head(1).batches(1)
    if len(codes) * first.x.numel() > HELD:
        return codes
    parts = [(batch.x, batch.y) for batch in codes.batches(READ)]
    x, y = (torch.cat(column) for column in zip(*parts, strict=True))
    return TensorSplit(x, y, REALS, codes.index)


# ─ the net and its training ───────────────────────────────────────────────────────────────────


class StandardiseCodes(nn.Module):
    """(z - mean) / scale, with mean and scale (d,) that are not trained."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, z: Tensor) -> Tensor:
        return (z - self.mean) / self.scale


def moments(codes: Split) -> tuple[Tensor, Tensor]:
    """Mean and scale (d,) of codes, float32.

    The scale is the deviation of a dimension, or the largest deviation if it is constant.

    Raises: InvspecError where codes are not finite.
    """
    mean = _mean(codes, lambda z: z)
    # a second pass: the mean of the squares minus the squared mean would cancel
    deviation = _mean(codes, lambda z: (z - mean).square()).sqrt()
    if not deviation.isfinite().all():
        raise InvspecError(
            "the codes of some training images are not finite",
            hint="check that the net's training was stable",
        )
    # if all codes are equal, 1, so that nothing is divided by 0
    largest = deviation.max().where(deviation.max() > 0, 1)
    return mean.float(), deviation.where(deviation > NEGLIGIBLE * largest, largest).float()


def _mean(codes: Split, function: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over examples, in float64, of a function of codes z (B, d)."""
    sums = [function(batch.x.flatten(1).double()).sum(0) for batch in codes.batches(READ)]
    return torch.stack(sums).sum(0) / len(codes)


class BestEpoch(Journal):
    """Keeps the weights of the epoch with the least cross-entropy on held-out codes."""

    def __init__(self, net: nn.Module, chosen: Split) -> None:
        self.net, self.chosen = net, chosen
        self.least, self.weights = float("inf"), dict[str, Tensor]()

    def save(self, state: dict[str, Any]) -> None:
        """Compare this epoch, after which the net is in training mode, with the best one."""
        self.net.eval()
        log_p, y = log_probs(self.net, self.chosen)
        self.net.train()
        loss = -log_p.gather(1, y[:, None]).mean().item()
        if not self.weights or loss < self.least:
            self.least, self.weights = (
                loss,
                {name: value.clone() for name, value in state["model"].items()},
            )
