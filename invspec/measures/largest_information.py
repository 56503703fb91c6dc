"""Label information in a part of a code: the bound of the best of several readers."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator
from torch import nn

from invspec.data import Examples, Row, Scored
from invspec.kinds import Bijective
from invspec.ops.types import MAGNITUDES, REALS, Range
from invspec.scoring.codes import Features
from invspec.scoring.information import RANGES, pointwise, rows_of
from invspec.scoring.nuisance_classifier import NuisanceClassifierMeasure, Reader
from invspec.scoring.rows import mean


class LargestInformation(NuisanceClassifierMeasure):
    """`nuisance_information` by the best of several readers, chosen on held-out images.

    A bound on information may take the best of any number of classifiers. A single one may read a
    trained code better than the pixels that the code is a bijection of, and so seem to contradict
    the data processing inequality. The readers are

        mlp     three linear layers, on the numbers of the features
        conv    two convolutions, on the image that shows nothing but the features: the one whose
                code has the mean of the training images in place of the other part

    The reader with the lowest cross-entropy on held-out training images is the best; because the
    judged images do not choose it, its bound stays valid. The rows are those of
    nuisance_information for the best reader, and bits_mlp and bits_conv for each reader.

    Raises: InvspecError where there are too few examples to fit to, or where codes are not finite.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)

    features: Features = Field(
        default="nuisance",
        description="input of the readers: nuisance, semantic (the logits), all, or pixels",
    )
    readers: tuple[Reader, ...] = Field(
        default=("mlp", "conv"), min_length=1, description="kinds of readers to choose from"
    )

    @model_validator(mode="after")
    def _holds_examples_out(self) -> Self:
        if not self.validation and len(self.readers) > 1:
            raise ValueError("expected validation above 0, to choose between readers, found 0")
        if len(set(self.readers)) < len(self.readers):
            raise ValueError(f"expected different readers, found {list(self.readers)}")
        return self

    @property
    def accepts(self) -> type | None:
        return None if self.features == "pixels" else Bijective

    def range_of(self, quantity: str = "") -> Range:
        return RANGES.get(quantity, MAGNITUDES if quantity.startswith("bits_") else REALS)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, judged = examples
        fitted = {name: self.fit(model, train, self.features, name) for name in self.readers}
        best = min(fitted.values(), key=lambda classifier: classifier.held_out_loss)
        rows = [
            *rows_of(best, best.codes(judged.clean), ""),
            *rows_of(best, best.train_codes, "train_"),
        ]
        by_name = {row.where["quantity"]: row for row in rows}
        numbers: list[Row] = [by_name[name] for name in RANGES]
        for name, classifier in fitted.items():
            log_p, y = classifier.log_probs(classifier.codes(judged.clean))
            bits = pointwise(log_p, y)
            numbers.append(
                mean(bits, judged.clean.index, within=MAGNITUDES, quantity=f"bits_{name}")
            )
        return Scored(numbers)
