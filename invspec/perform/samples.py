"""The examples that a sample selects."""

from __future__ import annotations

import json
from functools import lru_cache

import torch

from invspec.data import Split
from invspec.kinds import Attack, Dataset, Sample, SplitName, outline
from invspec.ops.generators import seeded
from invspec.perform.pairs import paired
from invspec.perform.splits import require_sound
from invspec.perform.transformed import Transformed
from invspec.tasks import Perturb


@lru_cache(maxsize=4)
def read_split(dataset: Dataset, split: SplitName) -> Split:
    """A loaded split, cached for the next task of this process.

    Raises: InvspecError if it does not fit what the data set says without loading.
    """
    with seeded(f"load {split} {json.dumps(outline(dataset), sort_keys=True)}"):
        loaded = dataset.load(split)
    require_sound(loaded, dataset, split)
    return loaded


def chosen(dataset: Dataset, sample: Sample, before: Attack | None = None) -> Split:
    """The examples of a sample, in the order of their split; with targets, its pairs.

    before transforms every image of the split: sources and targets of pairs.
    """
    return _chosen(dataset, sample, before)  # pyright: ignore[reportArgumentType]  # frozen: hashable


def clean_images(task: Perturb) -> Split:
    """The examples that an attack starts from."""
    return chosen(task.train.dataset, task.sample, task.before)


# Cached for the next part of the sample: drawing targets for each source takes seconds.
@lru_cache(maxsize=4)
def _chosen(dataset: Dataset, sample: Sample, before: Attack | None) -> Split:
    split = read_split(dataset, sample.split)  # pyright: ignore[reportArgumentType]  # frozen: hashable
    if before is not None:
        split = Transformed(split, before)
    sources = _sources(split, sample, dataset.classes)
    if sample.targets is None:
        return sources
    return paired(split, sources, sample.targets, dataset.classes)


def _sources(split: Split, sample: Sample, classes: int) -> Split:
    if sample.per_class is None:
        return split if sample.limit is None else split.head(sample.limit)
    y = split.labels()
    positions = [torch.nonzero(y == k)[: sample.per_class, 0] for k in range(classes)]
    return split.take(torch.cat(positions).sort().values)
