"""What can run and is hardly meant: entries that nothing uses, samples larger than their split."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import InvspecError, SpecError
from invspec.kinds import Dataset
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
    """Attacks on more examples than a data set that they meet has."""
    for (part, label), datasets in uses(spec).items():
        if part != "attacks":
            continue
        sample = spec.entries[part][label].sample
        for name, dataset in datasets.items():
            count = _count(dataset, sample.split)
            if count is None or sample.limit is None or sample.limit <= count:
                continue
            split = f"the {sample.split} split of {name}"
            yield SpecError(
                f"limit {sample.limit:,} is more than {split} has: {count:,}",
                hint="all of them are used; leave limit out if that is meant",
                path=("attacks", label, "sample", "limit"),
            )


def _count(dataset: Dataset, split: str) -> int | None:
    """The size of a split; None if it is not known without data that is not at hand."""
    try:
        return dataset.count(split)  # pyright: ignore[reportArgumentType]
    except InvspecError:
        return None
