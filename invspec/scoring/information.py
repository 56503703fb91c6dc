"""Label information that a classifier finds in codes: its errors and its bound, as rows."""

from __future__ import annotations

import math

from torch import Tensor

from invspec.data import Row, Split
from invspec.ops.types import MAGNITUDES, REALS, SHARES, Range
from invspec.scoring.nuisance_classifier import NuisanceClassifier
from invspec.scoring.rows import exact, mean, share

RANGES: dict[str, Range] = {
    "error": SHARES,
    "train_error": SHARES,
    "bits": MAGNITUDES,
    "train_bits": MAGNITUDES,
    "bits_unclipped": REALS,
    "label_bits": MAGNITUDES,
}


def rows_of(classifier: NuisanceClassifier, codes: Split, prefix: str) -> list[Row]:
    """All quantities of some codes; prefix is put before their names."""
    log_p, y = classifier.log_probs(codes)
    bits, index = pointwise(log_p, y), codes.index
    return [
        share(log_p.argmax(1) != y, index, quantity=f"{prefix}error"),
        # information is not negative, even if a bound on it is
        mean(bits, index, within=MAGNITUDES, quantity=f"{prefix}bits"),
        mean(bits, index, quantity=f"{prefix}bits_unclipped"),
        exact(entropy(frequencies(y)), len(y), quantity=f"{prefix}label_bits"),
    ]


def pointwise(log_p: Tensor, y: Tensor) -> Tensor:
    """The bits that log-probabilities (N, K), in nats, give about each label y (N,).

    These are bits beyond the label frequencies: their mean is the bound of Lemma 9, h(y) + E log
    D_nc[y], with the entropy of these labels.
    """
    return (log_p.gather(1, y[:, None]).squeeze(1) - frequencies(y).log()[y]) / math.log(2)


def frequencies(y: Tensor) -> Tensor:
    """The share of each class among labels y (N,), up to the largest class that occurs."""
    counts = y.bincount().double()
    return counts / counts.sum()


def entropy(shares: Tensor) -> float:
    """The entropy of shares (K,), in bits."""
    # xlogy: a class that does not occur counts 0
    return -shares.xlogy(shares).sum().item() / math.log(2)
