"""Errors of a classifier that may reject what it is not confident about."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.scoring.rows import estimated, exact, share

REPLICATES = 2000  # bootstrap draws behind an interval
STILL = 1e-6  # linf that rounding may give an image that was not moved


class ConfidenceThreshold(Measure):
    """Errors of a classifier that answers only at a confidence of tau or more, as validation images fixed it.

    The first attack in `of`, identity on the whole split, has the clean images. The last `validation` share of them
    fixes tau: of the N_c that are classified correctly, in rising order of confidence, it is the one at place
    floor((1 - tpr) N_c), counted from 0, so that at least tpr of them are accepted. threshold says tau instead; at 0
    rerr is the ordinary robust error. The other images are judged, whether tau is estimated or said, so
    that measures of the same `of` and validation are of the same images:

        err        #[wrong, accepted] / #[accepted], of clean images
        tpr        #[right, accepted] / #[right], of clean images
        rerr       #[(wrong, accepted) or (adv wrong, adv accepted)] / #[accepted or adv accepted]
        fpr        #[right, adv wrong, adv accepted] / N, whether the clean image is accepted or not
        threshold  tau; n counts the images that it is from

    rerr and fpr are of the images that every further attack has, each image with the attempt that is worst for it: of
    the wrong ones the most confident, else of the right ones the least. A single attack in `of` gives both the clean
    images and the attempts. An attack on the cross-entropy underestimates rerr of a model that learnt to be unsure
    under attack: have one on the confidence among the attempts.

    Intervals are a bootstrap's over images, in which an estimated tau is drawn anew too. The outcomes are those of the
    images in the denominator at this very tau: a difference of two models is paired over images, given their tau.
    Where no image is in the denominator the value is 0 and its interval [0, 1], without outcomes.

    Deviates: of several attempts the text keeps the one of the highest confidence in a wrong class; here any attempt
    that is wrong comes before all that are right, and that confidence decides among the wrong ones alone.

    Raises: InvspecError where no validation image is classified correctly, where no image is left to judge, where the
    first of several attacks moved images, and for attacks on pairs.
    """

    takes: ClassVar[tuple[int, int]] = (1, 64)

    statistic: Literal["rerr", "err", "fpr", "tpr", "threshold"] = Field(
        default="rerr",
        description="robust error, error, false or true positive rate, or tau itself",
    )
    tpr: Number = Field(
        default=0.99, gt=0, le=1, description="share of correct validation images that tau accepts"
    )
    validation: Number = Field(
        default=0.1, ge=0, lt=1, description="share of the clean images that fixes tau"
    )
    threshold: Number | None = Field(
        default=None, ge=0, le=1, description="tau; default: what gives tpr"
    )

    def smoke(self) -> Self:
        """At a given tau, since a net of one epoch may have no validation image right."""
        return self.model_copy(update={"threshold": self.threshold or 0.0})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        clean, attempts = _answers(examples)
        judged = len(clean.index) - round(self.validation * len(clean.index))
        tau = self._tau(clean.take(slice(judged, None)))
        clean = clean.take(slice(0, judged))
        if self.statistic == "threshold":
            return Scored([tau.row(len(clean.index))])
        if self.statistic in ("rerr", "fpr"):
            clean, adv = _paired(clean, attempts)
        else:
            adv = clean
        if not len(clean.index):
            raise InvspecError(
                "no image is left to judge", hint="widen the attacks' samples, or lower validation"
            )
        return _scored(SHARES[self.statistic], clean, adv, tau)

    def _tau(self, validation: Answers) -> Tau:
        if self.threshold is not None:
            return Tau(self.threshold)
        right = validation.confidence[validation.right]
        if not len(right):
            raise InvspecError(
                f"tau cannot be estimated: none of {len(validation.index)} validation images is classified correctly",
                hint="say threshold: 0 for the ordinary robust error, or give identity a larger sample",
            )
        return Tau.accepting(self.tpr, right.double().numpy())


@dataclass(frozen=True)
class Answers:
    """What a model says of some images: whether it is right (N,) bool, how confident it is (N,), and index (N,)."""

    index: Tensor
    right: Tensor
    confidence: Tensor

    @classmethod
    def of(cls, judged: Mapping[str, Tensor], suffix: str = "") -> Self:
        """From the judged columns, of the clean images or, with suffix _adv, of the attacked ones."""
        right = judged[f"prediction{suffix}"] == judged["y"]
        return cls(judged["index"], right, judged[f"confidence{suffix}"])

    def take(self, rows: slice | Tensor) -> Answers:
        """Those of some images."""
        return Answers(self.index[rows], self.right[rows], self.confidence[rows])

    def at(self, index: Tensor) -> Answers:
        """Those of the images index (M,), all of which must be there."""
        order = self.index.argsort()
        return self.take(order[torch.searchsorted(self.index[order], index)])


@dataclass(frozen=True)
class Tau:
    """A threshold, where it is estimated with its bootstrap replicates (R,) and the number of images behind it."""

    value: float
    replicates: np.ndarray | None = None
    n: int = 0

    @classmethod
    def accepting(cls, share: float, confidences: np.ndarray) -> Self:
        """The largest that accepts at least a share of confidences (n,).

        Of n values drawn anew from these, that at place k is what these have at place floor(n U), where U is the same
        order statistic of n uniform numbers: Beta(k + 1, n - k).
        """
        ordered, n = np.sort(confidences), len(confidences)
        place = min(math.floor((1 - share) * n + 1e-9), n - 1)  # 1 - 0.9 is less than 0.1
        draws = np.random.default_rng(0).beta(place + 1, n - place, REPLICATES)
        return cls(float(ordered[place]), ordered[np.minimum((n * draws).astype(int), n - 1)], n)

    def row(self, judged: int) -> Row:
        """The threshold with its interval; one that was given has no other value, and is applied to judged images."""
        if self.replicates is None:
            return exact(self.value, max(judged, 1))
        return estimated(self.value, *_ends(self.replicates), self.n)


Counted = tuple[
    Tensor, Tensor
]  # which images are counted (N,) bool, and which images are in the denominator (N,) bool
Rate = Callable[[Answers, Answers, float], Counted]


def _err(clean: Answers, adv: Answers, tau: float) -> Counted:
    return ~clean.right, clean.confidence >= tau


def _tpr(clean: Answers, adv: Answers, tau: float) -> Counted:
    return clean.confidence >= tau, clean.right


def _rerr(clean: Answers, adv: Answers, tau: float) -> Counted:
    accepted, adv_accepted = clean.confidence >= tau, adv.confidence >= tau
    return (~clean.right & accepted) | (~adv.right & adv_accepted), accepted | adv_accepted


def _fpr(clean: Answers, adv: Answers, tau: float) -> Counted:
    return clean.right & ~adv.right & (adv.confidence >= tau), torch.ones_like(clean.right)


SHARES: dict[str, Rate] = {"err": _err, "tpr": _tpr, "rerr": _rerr, "fpr": _fpr}


def _answers(examples: Sequence[Examples]) -> tuple[Answers, list[Answers]]:
    """Of the clean images, and of each attack's."""
    if any("source" in one.judged for one in examples):
        raise InvspecError(
            "the attacks are on pairs; thresholds are of single images",
            hint="leave sample.targets out",
        )
    first, *others = (one.judged for one in examples)
    if others and bool((first["linf"] > STILL).any()):
        raise InvspecError(
            "the first attack has moved images",
            hint="of: [identity, ...], identity on the whole split",
        )
    return Answers.of(first), [Answers.of(judged, "_adv") for judged in others or [first]]


def _paired(clean: Answers, attempts: Sequence[Answers]) -> tuple[Answers, Answers]:
    """The images that all attempts have, clean and in the worst attempt."""
    shared = torch.stack([torch.isin(clean.index, one.index) for one in attempts]).all(0)
    clean = clean.take(shared)
    found = [one.at(clean.index) for one in attempts]
    right, confidence = (
        torch.stack([getattr(one, name) for one in found]) for name in ("right", "confidence")
    )
    worst = torch.where(right, -confidence, confidence).argmax(0, keepdim=True)
    return clean, Answers(
        clean.index, *(each.gather(0, worst).squeeze(0) for each in (right, confidence))
    )


def _scored(rate: Rate, clean: Answers, adv: Answers, tau: Tau) -> Scored:
    """A share of images with its interval, and the outcomes of those in the denominator."""
    counted, among = rate(clean, adv, tau.value)
    if not among.any():
        return Scored([estimated(0.0, 0.0, 1.0, len(among))])
    row = share(counted[among], clean.index[among])
    value = counted[among].double().mean().item()
    own = estimated(value, *_ends(_replicates(rate, clean, adv, tau)), int(among.sum()))
    return Scored([replace(row, interval=own.interval)])


def _replicates(rate: Rate, clean: Answers, adv: Answers, tau: Tau) -> np.ndarray:
    """Draws (R,) of the share, each at one draw of tau; NaN where no image is in the denominator.

    With k of n images counted they are Beta(k + 1/2, n - k + 1/2), the Bayesian bootstrap of a
    share to which half an example of each outcome has been added.
    """
    drawn = np.full(REPLICATES, tau.value) if tau.replicates is None else tau.replicates
    rng, shares = np.random.default_rng(1), np.full(REPLICATES, np.nan)
    for value in np.unique(drawn).tolist():
        counted, among = rate(clean, adv, value)
        n, k = int(among.sum()), int((counted & among).sum())
        if n:
            at = drawn == value
            shares[at] = rng.beta(k + 0.5, n - k + 0.5, at.sum())
    return shares


def _ends(replicates: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of draws (R,) of a share or a threshold, which NaN leaves open."""
    ends = ((0.025, 0.0), (0.975, 1.0))
    low, high = (
        np.quantile(np.nan_to_num(replicates, nan=worst), q, method="nearest") for q, worst in ends
    )
    return float(low), float(high)
