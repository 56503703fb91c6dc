"""The perturb tasks of an attack: its sample cut into parts, its sweep run from small to large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from invspec.kinds import Attack, Dataset
from invspec.plan.sizes import size
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.tasks import Part, Perturb, Train

# Examples in one perturb task. Long attacks are cut into parts that several devices can share.
PART = 2_000

# Most numbers in the images of one part: 256 MiB, held a few times; 445 images of ImageNet.
IMAGES = 2**26

# Most numbers in the paths of one part: 2.3 GiB, held twice; 200 images of CIFAR, 1,000 steps.
PATHS = 200 * 1_002 * 3 * 32 * 32

# Most attacks in a row that each start from the one before. A longer sweep begins anew, because
# tasks nest and Python limits the depth of recursion.
CHAIN = 50


def parts_of(train: Train, variant: Variant, entry: Resolved, spec: Spec) -> tuple[Perturb, ...]:
    """One value of an attack's sweep on one trained model, in its parts."""
    total, chain = size(train.dataset, entry.sample), _chain(variant, entry)
    most = part_size(train.dataset, cast(Attack, variant.method))
    return tuple(
        _perturb(train, chain, entry, (start, min(start + most, total)), spec)
        for start in range(0, total, most)
    )


def part_size(dataset: Dataset, attack: Attack) -> int:
    """Most examples in one perturb task: fewer if images are large or if their paths are kept.

    A part is held in memory.
    """
    numbers, most = math.prod(dataset.shape), IMAGES
    if attack.path_vertices:
        numbers, most = numbers * attack.path_vertices, PATHS
    return min(PART, max(1, most // numbers))


def _perturb(
    train: Train, chain: Sequence[Attack], entry: Resolved, part: Part, spec: Spec
) -> Perturb:
    """The last attack of a chain, after all the others."""
    *before, attack = chain
    after = _perturb(train, before, entry, part, spec) if before else None
    precision = "float32" if attack.needs_float32 else spec.precision
    return Perturb(train, attack, entry.sample, part, precision, after)


def _chain(variant: Variant, entry: Resolved) -> list[Attack]:
    """The attacks of a sweep that search a subset of what this one does, smallest first, then it.

    An attack with eps 0 comes before no other: that one would start at x instead of at random.
    """
    attack = cast(Attack, variant.method)
    if (field := attack.sweep_field) is None or entry.independent or not getattr(attack, field):
        return [attack]
    alike = {field: getattr(attack, field)}
    others = (cast(Attack, other.method) for other in entry.variants)
    within = [other for other in others if other.model_copy(update=alike) == attack]
    within = [other for other in within if 0 < getattr(other, field) <= alike[field]]
    within.sort(key=lambda other: getattr(other, field))
    return within[-((len(within) - 1) % CHAIN + 1) :]
