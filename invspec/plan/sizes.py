"""How many examples or pairs a sample holds, without loading it."""

from __future__ import annotations

from invspec.kinds import Dataset, Sample, Targets


def most(targets: Targets, sources: int, classes: int) -> int:
    """At most how many pairs so many sources make; exactly so many where each class has enough targets."""
    if targets.indices:
        return sources * len(targets.indices)
    return sources * (targets.each or (targets.per_class or 0) * (classes - 1))


def size(dataset: Dataset, sample: Sample) -> int:
    """At most how many examples, or pairs, a sample holds, without loading them."""
    whole = dataset.count(sample.split)
    wanted = sample.limit or (sample.per_class or whole) * (
        dataset.classes if sample.per_class else 1
    )
    sources = min(whole, wanted)
    return sources if sample.targets is None else most(sample.targets, sources, dataset.classes)
