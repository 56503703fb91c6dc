"""Confidence thresholds of classifiers that may reject, and rates at these thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invspec.data import Examples, Judged, JudgedPairs, Row
from invspec.errors import InvspecError
from invspec.scoring.rows import estimated, exact, share

Floats = NDArray[np.floating]

# bootstrap draws behind an interval
REPLICATES = 2000

# linf distance that rounding may give an unmoved image
LINF_ROUNDING = 1e-6


@dataclass(frozen=True)
class Answers:
    """A model's answers to images index (N,): whether right (N,) bool, and confidence (N,)."""

    index: Tensor
    right: Tensor
    confidence: Tensor

    @classmethod
    def clean(cls, judged: Judged) -> Self:
        """The answers to the clean images."""
        return cls(judged.index, judged.correct, judged.confidence)

    @classmethod
    def attacked(cls, judged: Judged) -> Self:
        """The answers to the attacked images."""
        return cls(judged.index, judged.correct_adv, judged.confidence_adv)

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: slice | Tensor) -> Answers:
        """The answers to some of the images."""
        return Answers(self.index[rows], self.right[rows], self.confidence[rows])

    def at(self, index: Tensor) -> Answers:
        """The answers to the images index (M,), all of which must be there."""
        order = self.index.argsort()
        return self.take(order[torch.searchsorted(self.index[order], index)])


def answers(examples: Sequence[Examples]) -> tuple[Answers, list[Answers]]:
    """The answers to the first attack's clean images and to every further attack's images.

    A single attack gives both.

    Raises: InvspecError for attacks on pairs, where the first of several moved images, and where
        the clean images of some were transformed in another way.
    """
    if any(isinstance(attacked.judged, JudgedPairs) for attacked in examples):
        raise InvspecError(
            "the attacks are on pairs; thresholds are for single images",
            hint="remove sample.targets",
        )
    if not all(attacked.is_transformed_as(examples[0]) for attacked in examples):
        raise InvspecError(
            "the attacks start from images that were transformed in different ways",
            hint="give these attacks equal `before`",
        )
    first, *others = (attacked.judged for attacked in examples)
    if others and bool((first.linf > LINF_ROUNDING).any()):
        raise InvspecError(
            "the first attack has moved images",
            hint="of: [identity, ...], with identity on the whole split",
        )
    return Answers.clean(first), [Answers.attacked(judged) for judged in others or [first]]


def worst(clean: Answers, attempts: Sequence[Answers]) -> tuple[Answers, Answers]:
    """Clean answers and worst answers for the images that all attempts share.

    The worst answer is the most confident wrong one or, if all are right, the least confident.
    """
    shared = torch.stack([torch.isin(clean.index, attempt.index) for attempt in attempts]).all(0)
    clean = clean.take(shared)
    aligned = [attempt.at(clean.index) for attempt in attempts]
    right = torch.stack([attempt.right for attempt in aligned])
    confidence = torch.stack([attempt.confidence for attempt in aligned])
    worst_attempt = torch.where(right, -confidence, confidence).argmax(0, keepdim=True)
    columns = (column.gather(0, worst_attempt).squeeze(0) for column in (right, confidence))
    return clean, Answers(clean.index, *columns)


# ─ the threshold ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Threshold:
    """A confidence threshold tau.

    An estimated one has bootstrap replicates (R,) and the number n of images behind it.
    """

    value: float
    replicates: Floats | None = None
    n: int = 0

    @classmethod
    def accepting(cls, share: float, confidences: Floats) -> Self:
        """The largest threshold that accepts at least a share of confidences (n,).

        That is the order statistic at position k = floor((1 - share) n), counted from 0. The order
        statistic k of a resample of n values is the value at position floor(n U), where U is the
        same order statistic of n uniform numbers: Beta(k + 1, n - k).
        """
        ordered, n = np.sort(confidences), len(confidences)
        # 1 - 0.9 is less than 0.1 in floating point
        place = min(math.floor((1 - share) * n + 1e-9), n - 1)
        # fixed seeds, here and below, so that equal data give equal intervals
        draws = np.random.default_rng(0).beta(place + 1, n - place, REPLICATES)
        replicates = ordered[np.minimum((n * draws).astype(int), n - 1)]
        return cls(float(ordered[place]), replicates, n)

    def row(self, judged: int) -> Row:
        """The threshold with its interval; if it was set, n is the number of judged images."""
        if self.replicates is None:
            return exact(self.value, max(judged, 1))
        return estimated(self.value, *_ends(self.replicates), self.n)


# ─ shares ─────────────────────────────────────────────────────────────────────────────────────

# which images count, and which are in the denominator, each (N,) bool
Counts = tuple[Tensor, Tensor]

# from clean answers, answers under attack, and a threshold
Rate = Callable[[Answers, Answers, float], Counts]


def error(clean: Answers, adv: Answers, tau: float) -> Counts:
    """Err: wrong answers among the accepted ones."""
    return ~clean.right, clean.confidence >= tau


def true_positive(clean: Answers, adv: Answers, tau: float) -> Counts:
    """TPR: accepted answers among the right ones."""
    return clean.confidence >= tau, clean.right


def robust_error(clean: Answers, adv: Answers, tau: float) -> Counts:
    """RErr: images with a wrong accepted answer, clean or adversarial, among the accepted ones."""
    accepted, adv_accepted = clean.confidence >= tau, adv.confidence >= tau
    return (~clean.right & accepted) | (~adv.right & adv_accepted), accepted | adv_accepted


def false_positive(clean: Answers, adv: Answers, tau: float) -> Counts:
    """FPR: images right when clean, but wrong and accepted under attack, among all."""
    return clean.right & ~adv.right & (adv.confidence >= tau), torch.ones_like(clean.right)


def false_rejection(clean: Answers, adv: Answers, tau: float) -> Counts:
    """Images that are rejected under attack, among those right when clean and under attack."""
    return adv.confidence < tau, clean.right & adv.right


def rate_row(rate: Rate, clean: Answers, adv: Answers, tau: Threshold) -> Row:
    """A share of images at a threshold, with its interval and the outcomes in its denominator."""
    counted, among = rate(clean, adv, tau.value)
    if not among.any():
        return estimated(0.0, 0.0, 1.0, len(among))
    value = counted[among].double().mean().item()
    own = estimated(value, *_ends(_replicates(rate, clean, adv, tau)), int(among.sum()))
    return replace(share(counted[among], clean.index[among]), interval=own.interval)


def _replicates(rate: Rate, clean: Answers, adv: Answers, tau: Threshold) -> Floats:
    """Draws (R,) of a share, each at a draw of tau; NaN where no image is in the denominator.

    With k of n images counted they are Beta(k + 1/2, n - k + 1/2): the Bayesian bootstrap of a
    share to which half an example of each outcome has been added.
    """
    drawn = np.full(REPLICATES, tau.value) if tau.replicates is None else tau.replicates
    # another seed than for the replicates of tau, of which these draws are independent
    rng, shares = np.random.default_rng(1), np.full(REPLICATES, np.nan)
    for value in np.unique(drawn).tolist():
        counted, among = rate(clean, adv, value)
        n, k = int(among.sum()), int((counted & among).sum())
        if n:
            at = drawn == value
            shares[at] = rng.beta(k + 0.5, n - k + 0.5, int(at.sum()))
    return shares


def _ends(replicates: Floats) -> tuple[float, float]:
    """The 95 % interval of draws (R,) of a number in [0, 1]; NaN widens both ends."""
    low, high = (
        np.quantile(np.nan_to_num(replicates, nan=worst_case), level, method="nearest")
        for level, worst_case in ((0.025, 0.0), (0.975, 1.0))
    )
    return float(low), float(high)
