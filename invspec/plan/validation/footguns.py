"""What can run and is hardly meant: entries that nothing uses, samples larger than their split."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import InvspecError, SpecError
from invspec.kinds import Dataset, Method, Sample
from invspec.plan.validation.settings import uses
from invspec.registry.cards import PARTS
from invspec.spec import unused
from invspec.spec.resolved import Spec

# where an entry of a part is named
USERS = {
    "datasets": "a line of `train`",
    "models": "a line of `train`",
    "defences": "a line of `train`",
    "attacks": "the `of` of a measure",
    "measures": "a line of `train`",
}


def warnings(spec: Spec) -> Iterator[SpecError]:
    """Doubtful entries of a spec; none in a smoke run, which is about other sizes."""
    if spec.is_smoke:
        return
    yield from _unused(spec)
    yield from _beyond_the_split(spec)


def _unused(spec: Spec) -> Iterator[SpecError]:
    """Entries that no line, no other entry and no scale names."""
    if spec.scale:
        # it may have other lines than the spec, which uses the others
        return
    all_measures = any(line.measures is None for line in spec.train)
    for part, label in unused.unnamed(spec.source.values):
        if part in PARTS and not (part == "measures" and all_measures):
            message = f"nothing uses {part.removesuffix('s')} {label}"
            hint = f"remove it, or name it in {USERS[part]}"
            yield SpecError(message, hint=hint, path=(part, label))


def _beyond_the_split(spec: Spec) -> Iterator[SpecError]:
    """Samples of attacks, and batches of trainings, that are larger than a data set they meet."""
    for (part, label), datasets in uses(spec).items():
        entry = spec.entries[part][label]
        for name, dataset in datasets.items():
            if part == "attacks":
                yield from _large_sample(label, entry.sample, name, dataset)
            else:
                yield from _large_batch(label, entry.variants[0].method, name, dataset)


def _large_sample(label: str, sample: Sample, name: str, dataset: Dataset) -> Iterator[SpecError]:
    count = _count(dataset, sample.split)
    if count is None:
        return
    hint = "all of them are used; leave {} out if that is meant"
    has = f"is more than the {sample.split} split of {name} has: {count:,}"
    if sample.limit is not None and sample.limit > count:
        yield SpecError(
            f"limit {sample.limit:,} {has}",
            hint=hint.format("limit"),
            path=("attacks", label, "sample", "limit"),
        )
    if sample.per_class is not None and sample.per_class * dataset.classes > count:
        yield SpecError(
            f"per_class {sample.per_class:,} for {dataset.classes:,} classes {has}",
            hint=hint.format("per_class"),
            path=("attacks", label, "sample", "per_class"),
        )


def _large_batch(label: str, method: Method, name: str, dataset: Dataset) -> Iterator[SpecError]:
    # a default says nothing of what was meant
    size = getattr(method, "batch_size", None) if "batch_size" in method.model_fields_set else None
    count = _count(dataset, "train")
    if isinstance(size, int) and count is not None and size > count:
        message = f"batch_size {size:,} is more than the train split of {name} has: {count:,}"
        hint = "each epoch is one batch of all of them"
        yield SpecError(message, hint=hint, path=("defences", label, "batch_size"))


def _count(dataset: Dataset, split: str) -> int | None:
    """The size of a split; None if it is not known without data that is not at hand."""
    try:
        return dataset.count(split)  # pyright: ignore[reportArgumentType]
    except InvspecError:
        return None
