"""How many examples or pairs a sample holds, without loading it."""

from __future__ import annotations

from invspec.kinds import Dataset, Sample, Targets


def max_pairs(targets: Targets, sources: int, classes: int) -> int:
    """Upper bound on the pairs of `sources` sources; exact if each class has enough targets."""
    if targets.indices:
        return sources * len(targets.indices)
    per_class = 1 if targets.nth_of_class is not None else targets.per_class or 0
    return sources * (targets.each or per_class * (classes - 1))


def size(dataset: Dataset, sample: Sample) -> int:
    """Upper bound on the examples, or pairs, in a sample, without loading them."""
    total = dataset.count(sample.split)
    if sample.per_class is not None:
        limit = sample.per_class * dataset.classes
    else:
        limit = sample.limit or total
    sources = min(total, limit)
    return (
        sources if sample.targets is None else max_pairs(sample.targets, sources, dataset.classes)
    )
