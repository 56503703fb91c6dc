"""Whether metamers fool a net, and whether they fool a classifier of its nuisance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Bijective
from invspec.ops.modules import device_of
from invspec.ops.types import SHARES, Range
from invspec.scoring.nuisance_classifier import NuisanceClassifierMeasure
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.rows import share_of_pairs


class MetamerError(NuisanceClassifierMeasure):
    """Share of metamers on which the net, or a classifier of its nuisance, contradicts an oracle.

    The nuisance classifier is fitted to the clean images of the first of two attacks, usually
    identity; the second attack gives the metamers. One row for each classifier, logits or nuisance,
    and each class of the source, whose logits the metamer has. The oracle sees images clipped to
    the pixel range, as people would; both classifiers see the metamers as they are. Intervals are
    from a bootstrap over sources.

    Raises: InvspecError where the nuisance classifier cannot be fitted.
    """

    # Version 1 showed the oracle metamers beyond the pixel bounds.
    # Version 2 drew dropout masks from the generator of the device.
    version: ClassVar[int] = 3
    takes: ClassVar[tuple[int, int]] = (2, 2)
    wants_target: ClassVar[bool] = True
    wants_oracle: ClassVar[bool] = True

    @property
    def accepts(self) -> type | None:
        return Bijective

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, metamers = examples
        classifiers = {"logits": model, "nuisance": self.fit(model, train, "nuisance").logits}
        missed, pairs = disagreements(metamers, classifiers, device_of(model)), metamers.pairs
        rows = [
            share_of_pairs(
                wrong[pairs.y == k],
                pairs.take(pairs.y == k),
                classifier=name,
                source_class=str(k),
            )
            for k in pairs.y.unique().tolist()
            for name, wrong in missed.items()
        ]
        return Scored(rows)


@torch.no_grad()
def disagreements(
    attacked: Examples, classifiers: Mapping[str, Callable[[Tensor], Tensor]], device: torch.device
) -> dict[str, Tensor]:
    """Where each classifier's label differs from the oracle's: (N,) bool by classifier.

    A classifier gives logits (B, K) for x (B, C, H, W). The oracle sees clipped images.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in classifiers}
    for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv"):
        x = tensors["x_adv"].to(device)
        labels = attacked.oracle_labels(x.clamp(*batch.bounds))
        for name, classifier in classifiers.items():
            parts[name].append((classifier(x).argmax(1) != labels).cpu())
    return {name: torch.cat(wrong) for name, wrong in parts.items()}
