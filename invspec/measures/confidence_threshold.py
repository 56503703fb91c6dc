"""Errors of a classifier that rejects inputs below a confidence threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure, Number
from invspec.kinds.measure import Bound
from invspec.ops.types import SHARES, Range
from invspec.scoring import thresholds
from invspec.scoring.thresholds import Answers, Rate, Threshold, answers, rate_row, worst


class Thresholded(Measure):
    """Base class of measures of a classifier that answers only at a confidence of tau or more."""

    takes: ClassVar[tuple[int, int]] = (1, 64)
    wants_model: ClassVar[bool] = False
    replaced: ClassVar[Mapping[str, str]] = {
        "statistic": "the measures robust_error (rerr), thresholded_error (err), "
        "false_positive_rate (fpr), true_positive_rate (tpr) and rejection_threshold replace it"
    }

    tpr: Number = Field(
        default=0.99, gt=0, le=1, description="share of correct validation images that tau accepts"
    )
    validation: Number = Field(
        default=0.1, ge=0, lt=1, description="share of the clean images from which tau is estimated"
    )
    threshold: Number | None = Field(
        default=None, ge=0, le=1, description="tau; default: the one that gives tpr"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def smoke(self) -> Self:
        """Set tau, because a net of one epoch may classify no validation image correctly."""
        return self.model_copy(update={"threshold": self.threshold or 0.0})

    def divided(self, clean: Answers) -> tuple[Answers, Threshold]:
        """The clean images to judge, and tau, set or estimated from the others."""
        # the last images are for validation, as in the authors' split of 9,000 and 1,000
        count = len(clean) - round(self.validation * len(clean))
        return clean.take(slice(0, count)), self._tau(clean.take(slice(count, None)))

    def _tau(self, validation: Answers) -> Threshold:
        if self.threshold is not None:
            return Threshold(self.threshold)
        right = validation.confidence[validation.right]
        if not len(right):
            raise InvspecError(
                f"none of {len(validation)} validation images is classified correctly, "
                "so there is no threshold",
                hint="set threshold: 0 for errors without rejection, or widen identity's sample",
            )
        return Threshold.accepting(self.tpr, right.double().numpy())


class ThresholdedRate(Thresholded):
    """Base class of shares of images at a confidence threshold."""

    rate: ClassVar[Rate]
    on_attempts: ClassVar[bool]

    @property
    def bound(self) -> Bound:
        return "lower" if self.on_attempts else "exact"

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        clean, attempts = answers(examples)
        clean, tau = self.divided(clean)
        clean, adv = worst(clean, attempts) if self.on_attempts else (clean, clean)
        if not len(clean):
            raise InvspecError(
                "no image is left to judge", hint="widen the attacks' samples, or lower validation"
            )
        return Scored([rate_row(type(self).rate, clean, adv, tau)])


class RobustError(ThresholdedRate):
    """Share of accepted images with a wrong accepted answer, clean or under attack (RErr).

    The first attack in `of`, identity on the whole split, gives the clean images, and every further
    attack an attempt on them; a single attack gives both. tau is estimated on the last `validation`
    share of the clean images: of the N_c that are classified correctly, sorted by rising
    confidence, it is the confidence at position floor((1 - tpr) N_c), counted from 0, so that at
    least tpr of them are accepted. `threshold` sets tau instead; at 0 this is the ordinary robust
    error. In either case only the other images are judged, so that measures with the same `of` and
    validation judge the same images.

        #[(wrong, accepted) or (adv wrong, adv accepted)] / #[accepted or adv accepted]

    counts the images that all attempts share, each with its worst attempt: the most confident wrong
    answer or, if all are right, the least confident one. An attack on the cross-entropy
    underestimates the error of a model trained to be unsure under attack: include one on the
    confidence.

    The interval is from a bootstrap over images, which also resamples an estimated tau. Differences
    between models are paired over the images in the denominator, given the tau of each. If no image
    is in the denominator, the value is 0 and its interval [0, 1].

    Deviates: among several attempts the text keeps the one with the highest confidence in a wrong
    class; here any wrong attempt comes before all right ones, and the confidence then decides.

    Raises: InvspecError where no validation image is classified correctly, where no image is
    left to judge, where the first of several attacks moved images or their clean images were
    transformed in different ways, and for attacks on pairs.
    """

    rate: ClassVar[Rate] = staticmethod(thresholds.robust_error)
    on_attempts: ClassVar[bool] = True


class FalsePositiveRate(ThresholdedRate):
    """Share of images that are right when clean, but wrong and accepted under attack.

    #[right, adv wrong, adv accepted] / N, whether the clean image is accepted or not. The
    images, the attempts and tau are those of robust_error.
    """

    rate: ClassVar[Rate] = staticmethod(thresholds.false_positive)
    on_attempts: ClassVar[bool] = True


class FalseRejectionRate(ThresholdedRate):
    """Share of images that are rejected under attack, among those that stay classified correctly.

    #[right, adv right, adv rejected] / #[right, adv right]: no robust error counts these images,
    although nothing is gained by rejecting them where the perturbation cannot be seen. The images,
    the attempts and tau are those of robust_error.
    """

    rate: ClassVar[Rate] = staticmethod(thresholds.false_rejection)
    on_attempts: ClassVar[bool] = True


class ThresholdedError(ThresholdedRate):
    """Share of wrong answers among the accepted clean images (Err); tau as in robust_error."""

    rate: ClassVar[Rate] = staticmethod(thresholds.error)
    on_attempts: ClassVar[bool] = False


class TruePositiveRate(ThresholdedRate):
    """Share of right answers to clean images that are accepted (TPR); tau as in robust_error."""

    rate: ClassVar[Rate] = staticmethod(thresholds.true_positive)
    on_attempts: ClassVar[bool] = False


class RejectionThreshold(Thresholded):
    """The threshold tau of robust_error; n is the number of images that it comes from."""

    @property
    def bound(self) -> Bound:
        return "exact"

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        clean, _ = answers(examples)
        clean, tau = self.divided(clean)
        return Scored([tau.row(len(clean))])
