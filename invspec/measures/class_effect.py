"""What decides where a walk ends: the class of the target, of the source, or the target image."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, JudgedPairs, Scored
from invspec.errors import InvspecError
from invspec.ops.types import Range
from invspec.scoring.matrix import ClassPairs
from invspec.scoring.pairs import SuccessMeasure, class_count, eligible
from invspec.scoring.rows import estimated

# bootstrap draws behind the interval
REPLICATES = 1000

Effect = Literal["target", "source", "difference", "target_image", "image_difference"]


class ClassEffect(SuccessMeasure):
    """Spread of the success rate over classes or target images, or a difference of two spreads.

    A spread is a standard deviation (ddof 0) of success rates:

        target            of the rows of the success matrix, over target classes
        source            of its columns, over source classes
        difference        target minus source
        target_image      of the targets of one class, each over all source classes; the root of the
                          mean variance over classes with several targets
        image_difference  target_image minus target: above 0, the class of a target says less about
                          how easy it is to reach than the image that was drawn

    Success is defined as in success_rate. The interval is from a Bayesian bootstrap over sources
    and targets; it leaves out the chance of a class's single target. Spreads over classes are
    biased upwards where sources or targets are few, because their means vary by chance, too: those
    over source classes more than those over target classes, since every source is paired with each
    target. The replicates share that bias. The variance over target images is the covariance
    of their rates from two halves of the sources, to which the chance of sources adds nothing;
    where it is negative, the spread is 0. So image_difference errs towards the class.

    Raises: InvspecError where no pair is eligible, and for target_image and image_difference where
    no class has two targets that are paired with both halves of the sources.
    """

    # Version 1 had intervals over sources alone.
    version: ClassVar[int] = 2

    effect: Effect = Field(
        default="difference",
        description="spread over target classes, source classes or target images; difference: "
        "target minus source; image_difference: target_image minus target",
    )

    def smoke(self) -> Self:
        """Compare classes, because the few pairs of a smoke run share no targets."""
        return super().smoke().model_copy(update={"effect": "difference"})

    @property
    def wants_several_targets(self) -> bool:
        return "image" in self.effect

    def range_of(self, quantity: str = "") -> Range:
        # the standard deviation of shares is at most a half
        return (-0.5, 0.5) if self.effect.endswith("difference") else (0.0, 0.5)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        success = self.successes(model, attacked)[rows].double()
        pairs = attacked.pairs.take(rows)
        spreads = Spreads(pairs, class_count(model, attacked))
        if self.wants_several_targets and not spreads.has_several_targets:
            raise InvspecError(
                "every class has one target, so targets of a class cannot be compared",
                hint="set targets.per_class to 2 or more",
            )
        value = spreads.of(self.effect, success)
        if np.isnan(value):
            raise InvspecError(
                "no class has two targets that both halves of the sources are paired with",
                hint="widen the sample, and share targets by targets.per_class",
            )
        rng = np.random.default_rng(0)
        replicates = [
            spreads.of(self.effect, success, *spreads.drawn(rng)) for _ in range(REPLICATES)
        ]
        low, high = np.nanquantile(replicates, [0.025, 0.975]).tolist()
        return Scored([estimated(value, low, high, len(spreads.sources))])


class Spreads:
    """The spreads of success over the classes and targets of P pairs."""

    def __init__(self, pairs: JudgedPairs, classes: int) -> None:
        self.classes = classes
        self.by_class = ClassPairs(pairs.y_target, pairs.y, classes)
        self.sources, self._source = pairs.source.unique(return_inverse=True)
        self.targets, self._target = pairs.target.unique(return_inverse=True)
        # the class of each target (T,)
        self.target_class = torch.zeros(len(self.targets), dtype=torch.int64).index_copy_(
            0, self._target, pairs.y_target.long()
        )
        self._by_image = self._target * classes + pairs.y

    @property
    def has_several_targets(self) -> bool:
        return bool((self.target_class.bincount() > 1).any())

    def drawn(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Weights of the sources (S,) and of the targets (T,).

        Normalised exponential weights are uniform on the simplex: a Bayesian bootstrap.
        """
        counts = len(self.sources), len(self.targets)
        source, target = (torch.from_numpy(rng.standard_exponential(count)) for count in counts)
        return source, target

    def of(
        self,
        effect: Effect,
        success: Tensor,
        source_weights: Tensor | None = None,
        target_weights: Tensor | None = None,
    ) -> float:
        """An effect on the success (P,) of the pairs, with or without weights."""
        source = _ones(self.sources) if source_weights is None else source_weights
        target = _ones(self.targets) if target_weights is None else target_weights
        weights = source[self._source]
        if effect == "target_image":
            return self._over_images(success, weights, target)
        matrix = self.by_class.means(success, weights * target[self._target])
        if effect == "image_difference":
            return self._over_images(success, weights, target) - spread(matrix, "target")
        return spread(matrix, effect)

    def _over_images(self, success: Tensor, weights: Tensor, target: Tensor) -> float:
        halves = [self._rates(success, weights * (self._source % 2 == half)) for half in (0, 1)]
        several = self.target_class.bincount(minlength=self.classes) > 1
        variances: list[Tensor] = []
        for k in several.nonzero().squeeze(1).tolist():
            first, second = (rates[self.target_class == k] for rates in halves)
            # a target that one half of the sources is not paired with
            known = first.isfinite() & second.isfinite()
            if known.sum() > 1:
                there = target[self.target_class == k][known]
                variances.append(_covariance(first[known], second[known], there))
        if not variances:
            return float("nan")
        return float(torch.stack(variances).mean().clamp_min(0).sqrt())

    def _rates(self, success: Tensor, weights: Tensor) -> Tensor:
        """The success rate of each target (T,), over all source classes; NaN without pairs."""
        count = len(self.targets) * self.classes
        total, mass = (
            torch.zeros(count, dtype=torch.float64).index_add_(0, self._by_image, values)
            for values in (weights * success, weights)
        )
        # without pairs of a source class the mean is 0 / 0, NaN
        return (total / mass).view(-1, self.classes).nanmean(1)


def _ones(units: Tensor) -> Tensor:
    return torch.ones(len(units), dtype=torch.float64)


def _covariance(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """The covariance of two columns (M,), weighted (M,)."""
    share = weights / weights.sum()
    return (share * (first - (share * first).sum()) * (second - (share * second).sum())).sum()


def spread(matrix: Tensor, effect: Literal["target", "source", "difference"]) -> float:
    """The spread of a success matrix (K, K), a row for each target class, NaN in empty entries."""

    def over(axis: int) -> float:
        means = matrix.nanmean(axis)
        return float(means[~means.isnan()].std(correction=0))

    target, source = over(1), over(0)
    return {"target": target, "source": source, "difference": target - source}[effect]
