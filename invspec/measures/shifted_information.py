"""Label information in the parts of a code, on the data and after a shift to metamers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored, TensorSplit
from invspec.kinds import Bijective
from invspec.ops.draws import Stream
from invspec.ops.modules import device_of
from invspec.ops.precise import in_double
from invspec.ops.types import REALS, Range
from invspec.scoring.codes import Features, code
from invspec.scoring.information import RANGES, rows_of
from invspec.scoring.nuisance_classifier import NuisanceClassifierMeasure
from invspec.scoring.pairs import BATCH_SIZE, class_count

PARTS: tuple[Features, ...] = ("semantic", "nuisance", "all")


class ShiftedInformation(NuisanceClassifierMeasure):
    """The bars of Figure 5: I(y; z_s) and I(y; z_n), on the data and after the adversarial shift.

    Under `data`, y is the label of an image and z its code. Under `shifted`, each z_s is joined
    with the z_n of an image that is drawn from all of them, whatever its class, and y is the label
    that an oracle gives to the image with that code, clipped to the pixel range. So z_s and z_n are
    independent: this is metameric sampling from P(z_s) P(z_n) (Section 2.2). Pairs of different
    classes would not do: of two classes, z_s would then tell that of z_n.

    For each distribution and each part of the code (semantic, nuisance, all), a classifier is
    fitted to the images of the first of two attacks, usually both identity, and judged on those of
    the second. A row for each of error, bits, bits_unclipped and label_bits, as in
    nuisance_information: bits are lower bounds (Lemma 9), at most label_bits, the entropy of the
    labels. Metamers are computed in float64. The draw depends on the fields alone.

    Raises: InvspecError where there are too few examples to fit to, or where codes are not finite.
    """

    takes: ClassVar[tuple[int, int]] = (2, 2)
    wants_oracle: ClassVar[bool] = True

    @property
    def accepts(self) -> type | None:
        return Bijective

    def range_of(self, quantity: str = "") -> Range:
        return RANGES.get(quantity, REALS)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        rng = Stream(f"shifted information {json.dumps(self._recipe('all'))}")
        train, judged = (Coded.read(model, attacked, rng) for attacked in examples)
        classes, rows = class_count(model, examples[0]), list[Row]()
        for under in ("data", "shifted"):
            for features in PARTS:
                to, on = (codes.split(under, features) for codes in (train, judged))
                fitted = self.fit_to(to, code(model, features), classes, features)
                rows += [
                    replace(row, where={"under": under, "features": features, **row.where})
                    for row in rows_of(fitted, on, "")
                ]
        return Scored(rows)


@dataclass(frozen=True)
class Coded:
    """Codes of images, semantic (N, K) and nuisance (N, D - K), and their labels y (N,).

    order (N,) are the images from which the shift takes each nuisance; shown (N,) are the oracle's
    labels of the images after the shift. index (N,) is that of the images.
    """

    semantic: Tensor
    nuisance: Tensor
    y: Tensor
    order: Tensor
    shown: Tensor
    index: Tensor

    @classmethod
    @torch.no_grad()
    def read(cls, model: nn.Module, examples: Examples, rng: Stream) -> Coded:
        """Encode images, shuffle their nuisances, decode, and ask the oracle."""
        net, device = cast(Bijective, in_double(model)), device_of(model)
        clean = examples.clean
        codes = [net.encode(batch.x.to(device).double()) for batch in clean.batches(BATCH_SIZE)]
        semantic, nuisance = (torch.cat(parts) for parts in zip(*codes, strict=True))
        order = rng.permutation(len(semantic)).to(device)
        # float32: what the oracle was trained on
        labels = [
            examples.oracle_labels(net.decode(*parts).clamp(*clean.bounds).float())
            for parts in zip(
                semantic.split(BATCH_SIZE), nuisance[order].split(BATCH_SIZE), strict=True
            )
        ]
        shown = torch.cat(labels).to(device)
        return cls(semantic, nuisance, clean.labels().to(device), order, shown, clean.index)

    def split(self, under: str, features: Features) -> TensorSplit:
        """The codes of one distribution, as a split of (N, d, 1, 1) with their labels."""
        is_shifted = under == "shifted"
        nuisance = self.nuisance[self.order] if is_shifted else self.nuisance
        parts = {"semantic": [self.semantic], "nuisance": [nuisance]}
        codes = torch.cat(parts.get(features, [self.semantic, nuisance]), dim=1)
        y = self.shown if is_shifted else self.y
        return TensorSplit(codes.float()[:, :, None, None], y, bounds=REALS, index=self.index)
