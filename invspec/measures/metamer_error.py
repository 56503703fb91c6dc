"""Who is fooled by metamers: the classifier on the logits, or one on the nuisance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Bijective
from invspec.scoring.nuisance_classifier import FitsNuisanceClassifier
from invspec.scoring.pairs import READ, device_of
from invspec.scoring.rows import share_of_pairs


class MetamerError(FitsNuisanceClassifier):
    """Share of metamers that the net misreads, by the word of an oracle, and that a classifier of its nuisance does.

    Of two attacks the first, usually identity, is of the examples that the nuisance classifier is fitted to, of which
    only the clean images count; the second gives the metamers. A row for each classifier, logits or nuisance, over the
    metamers of each class of source, which gave the logits. The oracle is asked about images within the pixels' bounds,
    as people would see them; both classifiers see the metamers as they are. Intervals are bootstrapped over sources,
    which n counts.
    """

    version: ClassVar[int] = 2  # 1 asked the oracle about metamers beyond the bounds
    takes: ClassVar[tuple[int, int]] = (2, 2)
    wants_target: ClassVar[bool] = True
    wants_oracle: ClassVar[bool] = True

    @property
    def accepts(self) -> type | None:
        return Bijective

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        train, metamers = examples
        readers = {"logits": model, "nuisance": self.fit(model, train, "nuisance").logits}
        missed = misread(metamers, readers, device_of(model))
        y, source = metamers.judged["y"], metamers.judged["source"]
        rows = [
            share_of_pairs(wrong[y == k], source[y == k], classifier=name, source_class=str(k))
            for k in y.unique().tolist()
            for name, wrong in missed.items()
        ]
        return Scored(rows)


@torch.no_grad()
def misread(
    attacked: Examples, readers: Mapping[str, Callable[[Tensor], Tensor]], device: torch.device
) -> dict[str, Tensor]:
    """Of each reader, x (B, C, H, W) to logits (B, K), which attacked images it sees unlike the oracle, (N,) 0 or 1.

    The oracle sees them clipped to the pixels' bounds.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in readers}
    for batch, tensors in attacked.batches(READ, "x_adv"):
        x = tensors["x_adv"].to(device)
        shown = attacked.believed(x.clamp(*batch.bounds))
        for name, reader in readers.items():
            found[name].append((reader(x).argmax(1) != shown).double().cpu())
    return {name: torch.cat(parts) for name, parts in found.items()}
