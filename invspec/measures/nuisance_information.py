"""Label information in the nuisance, the part of a code that the classifier does not read."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.kinds import Bijective
from invspec.ops.types import REALS, Range
from invspec.scoring.codes import Features
from invspec.scoring.information import RANGES, rows_of
from invspec.scoring.nuisance_classifier import NuisanceClassifierMeasure


class NuisanceInformation(NuisanceClassifierMeasure):
    """Error of a classifier D_nc of the nuisance z_n, and its bound on the label information.

    D_nc is fitted to the clean images of the first of two attacks, usually both identity, and
    judged on those of the second. A row for each quantity:

        error           share of the judged images that D_nc misclassifies
        train_error     the same among the images that it was fitted to
        bits            lower bound on I(y; z_n) (Lemma 9), h(y) + E log D_nc(z_n)[y], in bits,
                        0 where it is negative
        train_bits      the same for the images that it was fitted to, so not a valid bound
        bits_unclipped  bits before clipping at 0
        label_bits      h(y), the largest possible value of bits

    h(y) is the entropy of the label frequencies among these images: log2 K for balanced classes. It
    is biased downwards, by (K - 1) / 2n nats on average, and so is the bound. An image contributes
    log2 D_nc(z_n)[y] - log2 of the frequency of y, so that a classifier that knows only the
    frequencies gets 0.

    Intervals of errors are Wilson's; those of bits are from a bootstrap over images. Both take D_nc
    as fitted.

    Raises: InvspecError where there are too few examples to fit to, or where codes are not finite.
    """

    # Version 1 drew dropout masks from the generator of the device.
    version: ClassVar[int] = 2
    takes: ClassVar[tuple[int, int]] = (2, 2)

    features: Features = Field(
        default="nuisance",
        description="input of the classifier: nuisance, semantic (the logits), all, or pixels",
    )

    @property
    def accepts(self) -> type | None:
        return None if self.features == "pixels" else Bijective

    def range_of(self, quantity: str = "") -> Range:
        return RANGES.get(quantity, REALS)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, judged = examples
        classifier = self.fit(model, train, self.features)
        rows = [
            *rows_of(classifier, classifier.codes(judged.clean), ""),
            *rows_of(classifier, classifier.train_codes, "train_"),
        ]
        by_name = {row.where["quantity"]: row for row in rows}
        return Scored([by_name[name] for name in RANGES])
