"""A classifier of a trained net's codes, which shows how much label information they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Journal, Split
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number, plain
from invspec.ops.draws import Stream
from invspec.scoring.codes import (
    Code,
    Encoded,
    Features,
    code,
    image_of,
    in_memory,
    moments,
)
from invspec.scoring.fits import Fitted, fitted_once
from invspec.scoring.pairs import BATCH_SIZE, class_count
from invspec.training.loop import fit
from invspec.training.modes import seeded
from invspec.training.recipe import Recipe

Reader = Literal["mlp", "conv"]


class NuisanceClassifierMeasure(Measure):
    """Base class of measures that fit a nuisance classifier D_nc to the codes of clean images.

    D_nc has three linear layers with ReLU. The net is frozen and in eval mode, and images are not
    augmented. Codes are standardised by the mean and deviation of each dimension over the training
    examples; a dimension that is constant up to rounding is divided by the largest deviation
    instead of its own. The map is affine and invertible, so it preserves all information.

    Training minimises the cross-entropy (adam, one-cycle lr). A share of the training examples is
    held out; the weights of the epoch with the lowest cross-entropy on it are kept. Initial
    weights, held-out examples and order depend on the fields alone, and no training ends early, so
    that every net is judged by a classifier with the same training budget.

    Measures that fit a classifier by equal fields to equal codes share it, if the same process
    scores them one after the other (`scoring.fits`).
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
        description="share of training examples held out to select the epoch; 0: last epoch",
    )

    def fit(
        self, model: nn.Module, train: Examples, features: Features, reader: Reader = "mlp"
    ) -> NuisanceClassifier:
        """Fit a classifier to the features of clean images.

        reader conv sees the image that belongs to the features (`codes.image_of`), not their
        numbers.

        Raises: InvspecError where there are too few examples, or where codes are not finite.
        """
        read = code(model, features) if reader == "mlp" else image_of(model, features, train.clean)
        codes = in_memory(Encoded(train.clean, read))
        return self.fit_to(codes, read, class_count(model, train), features, reader)

    def fit_to(
        self, codes: Split, read: Code, classes: int, features: Features, reader: Reader = "mlp"
    ) -> NuisanceClassifier:
        """Fit a classifier to codes, which lie on the device of the net.

        read is the function that gives such codes for other images.

        Raises: InvspecError where there are too few examples, or where codes are not finite.
        """
        recipe = json.dumps(self._recipe(features, reader))
        rng = Stream(f"nuisance classifier {recipe}")
        (first,) = codes.head(1).batches(1)
        device = first.x.device
        codes = codes.to(device)
        held_out, train_codes = self.divided(codes, rng)
        # built on the CPU, so that its first weights do not depend on the device
        with seeded(rng, torch.device("cpu")):
            net = self._net(train_codes, classes, reader).to(device)
        fitted = fitted_once(
            codes, f"{recipe} {classes}", lambda: self._fitted(net, train_codes, held_out, rng)
        )
        net.load_state_dict(fitted.weights)
        net.eval().requires_grad_(False)
        return NuisanceClassifier(read, net, train_codes, fitted.held_out_loss)

    def _fitted(
        self, net: nn.Module, train_codes: Split, held_out: Split | None, rng: Stream
    ) -> Fitted:
        # without held-out examples the weights of the last epoch stay
        if held_out is None:
            fit(net, train_codes, rng, Journal(), self.training())
            return Fitted(net.state_dict(), float("nan"))
        journal = BestEpoch(net, held_out, mean_cross_entropy)
        fit(net, train_codes, rng, journal, self.training())
        return Fitted(journal.weights, journal.least)

    def _recipe(self, features: Features, reader: Reader = "mlp") -> dict[str, Any]:
        """Everything that a fit depends on, except the net and the examples."""
        recipe = {"features": features} | {
            name: plain(getattr(self, name)) for name in NuisanceClassifierMeasure.model_fields
        }
        return recipe if reader == "mlp" else recipe | {"reader": reader}

    def divided(self, codes: Split, rng: Stream) -> tuple[Split | None, Split]:
        """The held-out examples, if any, and those to fit to."""
        order = rng.permutation(len(codes))
        count = max(round(self.validation * len(codes)), 1) if self.validation else 0
        if len(codes) - count < 1:
            raise InvspecError(
                f"{len(codes)} examples are too few to fit a classifier to",
                hint="widen the sample of the first attack",
            )
        # sorted: both parts keep the order of the examples
        held_out, rest = (places.sort().values for places in (order[:count], order[count:]))
        return (codes.take(held_out) if count else None), codes.take(rest)

    def _net(self, train_codes: Split, classes: int, reader: Reader) -> nn.Sequential:
        standardise = StandardiseCodes(*moments(train_codes))
        if reader == "conv":
            (first,) = train_codes.head(1).batches(1)
            shape = tuple(first.x.shape[1:])
            layers = conv_layers(shape, classes)
            return nn.Sequential(nn.Flatten(), standardise, nn.Unflatten(1, shape), *layers)
        layers = mlp_layers((standardise.mean.numel(), self.hidden, self.hidden), self.dropout)
        return nn.Sequential(nn.Flatten(), standardise, *layers, nn.Linear(self.hidden, classes))

    def training(self) -> Recipe:
        """How a classifier is fitted."""
        return Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimiser="adam",
            lr=self.lr,
            schedule="one_cycle",
        )


@dataclass(frozen=True)
class NuisanceClassifier:
    """D_nc on the codes of images; train_codes are the codes that it was fitted to.

    held_out_loss is its cross-entropy on held-out codes, in nats; NaN if there are none.
    """

    code: Code
    net: nn.Module
    train_codes: Split
    held_out_loss: float

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, K) of images x (B, C, H, W)."""
        return self.net(self.code(x))

    def codes(self, images: Split) -> Split:
        """The codes of images, as input to log_probs."""
        return Encoded(images, self.code)

    def log_probs(self, codes: Split) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N, K), in nats, and labels (N,) of codes, both on the CPU."""
        return log_probs(self.net, codes)


@torch.no_grad()
def log_probs(net: nn.Module, codes: Split) -> tuple[Tensor, Tensor]:
    """A net's log-probabilities (N, K) float64 of codes, and their labels (N,), on the CPU."""
    batches = [
        (net(batch.x).double().log_softmax(1).cpu(), batch.y.cpu())
        for batch in codes.batches(BATCH_SIZE)
    ]
    log_p, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return log_p, y


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


def mlp_layers(widths: Sequence[int], dropout: float = 0.0) -> list[nn.Module]:
    """Linear layers of these widths, each followed by ReLU and dropout."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(dropout)]
    return layers


def conv_layers(shape: tuple[int, ...], classes: int) -> list[nn.Module]:
    """Two strided convolutions and two linear layers, from images of a shape (C, H, W)."""
    channels, height, width = shape
    # each convolution halves a side, rounding up
    places = -(-height // 4) * -(-width // 4)
    return [
        *(nn.Conv2d(channels, 16, 5, stride=2, padding=2), nn.ReLU()),
        *(nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * places, 128), nn.ReLU()),
        nn.Linear(128, classes),
    ]


def mean_cross_entropy(net: nn.Module, codes: Split) -> float:
    """The cross-entropy of a net on codes, in nats."""
    log_p, y = log_probs(net, codes)
    return -log_p.gather(1, y[:, None]).mean().item()


class BestEpoch(Journal):
    """Keeps the weights of the epoch with the lowest loss on held-out codes."""

    def __init__(
        self, net: nn.Module, held_out: Split, loss: Callable[[nn.Module, Split], float]
    ) -> None:
        self.net, self.held_out, self.loss = net, held_out, loss
        self.least, self.weights = float("inf"), dict[str, Tensor]()

    def save(self, state: dict[str, Any]) -> None:
        """Keep this epoch's weights if they are the best so far. The net stays in training mode."""
        self.net.eval()
        loss = self.loss(self.net, self.held_out)
        self.net.train()
        if not self.weights or loss < self.least:
            self.least = loss
            # clones, because training goes on in the same tensors
            self.weights = {name: value.clone() for name, value in state["model"].items()}
