"""Dependence between the logits and the nuisance: a lower bound on their mutual information."""

from __future__ import annotations

import json
import math
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Examples, Journal, Scored, Split
from invspec.errors import InvspecError
from invspec.kinds import Bijective
from invspec.ops.draws import Stream
from invspec.ops.types import MAGNITUDES, REALS, Range
from invspec.scoring.codes import Encoded, code, in_memory, moments
from invspec.scoring.nuisance_classifier import (
    BestEpoch,
    NuisanceClassifierMeasure,
    StandardiseCodes,
    mlp_layers,
)
from invspec.scoring.pairs import class_count
from invspec.scoring.rows import exact, mean
from invspec.training.loop import fit
from invspec.training.loss import StepLoss
from invspec.training.modes import seeded


class CodeDependence(NuisanceClassifierMeasure):
    """A lower bound on I(z_s; z_n), which the likelihood of Definition 7 aims to bring to 0.

    A critic scores how well a z_s and a z_n belong together. It is fitted to the clean images of
    the first of two attacks, usually both identity, to find the nuisance of each z_s among the
    n = batch_size ones of a batch. On the second, the bound (InfoNCE, van den Oord et al. 2018) is

        log n + E log softmax_j(critic(z_s_i, z_n_j))[i]

    It is at most log n, however large the information is, and a bijection's parts may have any
    amount of it: a bound near the ceiling says "at least this much", one near 0 that this critic
    finds no dependence. A row for each quantity, in bits:

        bits            the bound, 0 where it is negative
        bits_unclipped  before clipping
        ceiling_bits    log2 n, the largest possible value

    The critic is the product of two networks with two hidden layers, of z_s and of z_n. Images
    beyond the last whole batch are not judged. Intervals are from a bootstrap over images and take
    the critic, and the batches, as given.

    Raises: InvspecError where there are fewer than batch_size images to judge or held out, or where
    codes are not finite.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    width: int = Field(default=64, ge=1, description="length of the vectors that are multiplied")

    @property
    def accepts(self) -> type | None:
        return Bijective

    def range_of(self, quantity: str = "") -> Range:
        if quantity == "bits":
            # one end: a negative mean is clipped
            return MAGNITUDES
        ceiling = math.log2(self.batch_size)
        ranges = {"bits_unclipped": (-math.inf, ceiling), "ceiling_bits": (0.0, ceiling)}
        return ranges.get(quantity, REALS)

    def smoke(self) -> Self:
        """Batches of two and none held out, because a smoke run has few images."""
        return super().smoke().model_copy(update={"batch_size": 2, "validation": 0.0})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, judged = examples
        read, classes = code(model, "all"), class_count(model, train)
        critic = self._critic(in_memory(Encoded(train.clean, read)), classes)
        bits = self._bits(critic, in_memory(Encoded(judged.clean, read)))
        index = judged.clean.index[: len(bits)]
        return Scored(
            [
                mean(bits, index, within=MAGNITUDES, quantity="bits"),
                mean(bits, index, quantity="bits_unclipped"),
                exact(math.log2(self.batch_size), len(bits), quantity="ceiling_bits"),
            ]
        )

    def _critic(self, codes: Split, classes: int) -> nn.Module:
        """A critic fitted to codes (B, d, 1, 1), whose first numbers are the logits."""
        rng = Stream(f"code dependence {json.dumps(self._recipe('all'))}")
        held_out, train_codes = self.divided(codes, rng)
        (first,) = codes.head(1).batches(1)
        with seeded(rng, torch.device("cpu")):
            critic = Critic(moments(train_codes), classes, self.hidden, self.width)
        critic = critic.to(first.x.device)
        if held_out is None:
            fit(critic, train_codes, rng, Journal(), self.training(), loss=info_nce)
        else:
            journal = BestEpoch(critic, held_out, self._loss)
            fit(critic, train_codes, rng, journal, self.training(), loss=info_nce)
            critic.load_state_dict(journal.weights)
        return critic.eval().requires_grad_(False)

    def _loss(self, critic: nn.Module, codes: Split) -> float:
        """Minus the bound, in bits."""
        return -self._bits(critic, codes).mean().item()

    @torch.no_grad()
    def _bits(self, critic: nn.Module, codes: Split) -> Tensor:
        """What each image of a whole batch adds to the bound, in bits: (M,) on the CPU."""
        parts = [
            (math.log(len(batch)) - pairing_loss(critic(batch.x))).double().cpu() / math.log(2)
            for batch in codes.batches(self.batch_size)
            if len(batch) == self.batch_size
        ]
        if not parts:
            raise InvspecError(
                f"{len(codes)} examples are fewer than batch_size {self.batch_size}",
                hint="widen the samples, or lower batch_size, and with it the ceiling of the bound",
            )
        return torch.cat(parts)


class Critic(nn.Module):
    """Codes (B, d, 1, 1) to scores (B, B): of each logits with each nuisance."""

    def __init__(self, scale: tuple[Tensor, Tensor], classes: int, hidden: int, width: int) -> None:
        super().__init__()
        self.standardise, self.classes, self.width = StandardiseCodes(*scale), classes, width
        sizes = (classes, scale[0].numel() - classes)
        self.semantic, self.nuisance = (
            nn.Sequential(*mlp_layers((size, hidden, hidden)), nn.Linear(hidden, width))
            for size in sizes
        )

    def forward(self, codes: Tensor) -> Tensor:
        z = self.standardise(codes.flatten(1))
        semantic = self.semantic(z[:, : self.classes])
        nuisance = self.nuisance(z[:, self.classes :])
        return semantic @ nuisance.mT / math.sqrt(self.width)


def info_nce(net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
    """The mean loss of finding the nuisance of each logits among those of the batch."""
    scores = net(batch.x)
    return StepLoss(pairing_loss(scores).mean(), scores)


def pairing_loss(scores: Tensor) -> Tensor:
    """The cross-entropy, in nats, of finding each row's own column in scores (B, B): (B,)."""
    own = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores, own, reduction="none")
