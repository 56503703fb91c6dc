"""The perturb tasks of an attack: its sample is cut into parts, its sweep runs upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from invspec.kinds import Attack, Dataset
from invspec.plan.sizes import size
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.tasks import Part, Perturb, Train

# Maximum number of examples in one perturb task: parts of an attack can run on several devices.
MAX_EXAMPLES = 2_000

# Maximum number of values in the images of one part: 256 MiB, held a few times; 445 ImageNet
# images.
MAX_IMAGE_VALUES = 2**26

# Maximum number of values in the paths of one part: 2.3 GiB, held twice; 1,000 steps of 200 CIFAR
# images.
MAX_PATH_VALUES = 200 * 1_002 * 3 * 32 * 32

# Maximum length of a chain of attacks in which each starts from the previous one. A longer sweep
# starts a new chain, because tasks nest and Python limits the depth of recursion.
MAX_CHAIN = 50


def parts_of(train: Train, variant: Variant, entry: Resolved, spec: Spec) -> tuple[Perturb, ...]:
    """The perturb tasks of one value of an attack's sweep on one trained model."""
    total, chain = size(train.dataset, entry.sample), _chain(variant, entry)
    most = part_size(train.dataset, cast(Attack, variant.method))
    return tuple(
        _perturb(train, chain, entry, (start, min(start + most, total)), spec)
        for start in range(0, total, most)
    )


def part_size(dataset: Dataset, attack: Attack) -> int:
    """Maximum number of examples in one perturb task; smaller for large images or kept paths.

    A part is held in memory.
    """
    numbers, most = math.prod(dataset.shape), MAX_IMAGE_VALUES
    if attack.path_vertices:
        numbers, most = numbers * attack.path_vertices, MAX_PATH_VALUES
    return min(MAX_EXAMPLES, max(1, most // numbers))


def _perturb(
    train: Train, chain: Sequence[Attack], entry: Resolved, part: Part, spec: Spec
) -> Perturb:
    """The task of a chain's last attack, which runs after those of the others."""
    *before, attack = chain
    after = _perturb(train, before, entry, part, spec) if before else None
    precision = "float32" if attack.needs_float32 else spec.precision
    return Perturb(train, attack, entry.sample, part, precision, after)


def _chain(variant: Variant, entry: Resolved) -> list[Attack]:
    """This attack, after those of its sweep that search a subset of its set, smallest first.

    An attack with eps 0 starts no chain: the next one would start at x instead of at random.
    """
    attack = cast(Attack, variant.method)
    if (field := attack.sweep_field) is None or entry.independent or not getattr(attack, field):
        return [attack]
    alike = {field: getattr(attack, field)}
    others = (cast(Attack, other.method) for other in entry.variants)
    within = [other for other in others if other.model_copy(update=alike) == attack]
    within = [other for other in within if 0 < getattr(other, field) <= alike[field]]
    within.sort(key=lambda other: getattr(other, field))
    return within[-((len(within) - 1) % MAX_CHAIN + 1) :]
