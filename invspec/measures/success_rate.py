"""Share of pairs whose walk ends near its target, in all or by the classes of the pair."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from invspec.data import ClassMatrix, Examples, Scored
from invspec.kinds.measure import Bound
from invspec.ops.types import SHARES, Range
from invspec.scoring.matrix import ClassPairs
from invspec.scoring.pairs import SuccessMeasure, class_count, eligible
from invspec.scoring.rows import share_of_pairs, weighted_share_of_pairs


class SuccessRate(SuccessMeasure):
    """Share of pairs whose final image is nearer to its target than max_distance.

    A high rate indicates excessive invariance. Tensors: matrix (K, K), the share for each target
    class (row) and source class (column), where K is the number of logits; NaN on the diagonal and
    where there is no pair. The rate is the mean over cells of the matrix or, with `average: pairs`,
    over pairs; cells hold different numbers of pairs. A source's class is its true label.

    The interval is from a bootstrap over sources and targets, which treats their classes as random,
    too. With average cells, a source of a class with few sources weighs more: see
    scoring.rows.by_source.

    compat published reproduces a defect of the authors' evaluation: misclassified sources were not
    attacked but had distance -1, which is less than any max_distance, and so counted as successes
    for every target. They do so here, whatever `eligible`. (The authors' code also groups the
    sources of MNIST by CIFAR-10's labels; this is not reproduced.)

    Deviates: the default leaves out misclassified sources, as the text intends; the rate is the
    mean over cells.

    Raises: InvspecError where no pair is eligible.
    """

    figures: ClassVar[tuple[str, ...]] = ("matrix", "heatmap")

    compat: Literal["published", "none"] = Field(
        default="none",
        description="published: misclassified sources are successes for every target",
    )
    average: Literal["cells", "pairs"] = Field(
        default="cells", description="mean over the cells of the matrix, or over pairs"
    )

    @property
    def bound(self) -> Bound:
        return "lower"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        published = self.compat == "published"
        rows = eligible(attacked, "all" if published else self.eligible)
        success = self.successes(model, attacked)
        if published:
            # their published distance, -1, is less than any max_distance
            success |= ~attacked.judged.correct
        success, pairs = success[rows], attacked.pairs.take(rows)
        class_pairs = ClassPairs(pairs.y_target, pairs.y, class_count(model, attacked))
        weights = class_pairs.weights() if self.average == "cells" else torch.ones(len(success))
        rate = weighted_share_of_pairs(success, pairs, weights)
        return Scored([rate], ClassMatrix(class_pairs.means(success.double()).float()).tensors())


class SuccessByClass(SuccessMeasure):
    """The entries of the success matrix of success_rate, one row for each.

    A row has the coordinate `classes`, the class of the source and then that of the target, like
    "8 to 4". Its number is the share of these pairs that succeed, with an interval over sources and
    targets; a matrix entry without pairs has no row.

    Raises: InvspecError where no pair is eligible.
    """

    @property
    def bound(self) -> Bound:
        return "lower"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        success, pairs = self.successes(model, attacked)[rows], attacked.pairs.take(rows)
        classes = torch.stack([pairs.y, pairs.y_target], dim=1).unique(dim=0).tolist()
        entries = {
            f"{y} to {y_target}": (pairs.y == y) & (pairs.y_target == y_target)
            for y, y_target in classes
        }
        return Scored(
            [
                share_of_pairs(success[here], pairs.take(here), classes=name)
                for name, here in entries.items()
            ]
        )
