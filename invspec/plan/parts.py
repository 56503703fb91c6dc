"""The perturb tasks of an attack: its sample cut into parts, its sweep run from small to large."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

from invspec.kinds import Attack, Dataset, Method
from invspec.plan.sizes import size
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.tasks import Part, Perturb, Precision, Train

# Examples in one perturb task. Long attacks are cut into parts that several devices can share.
PART = 2_000

# Most numbers in the images of one part: 256 MiB, held a few times; 445 images of ImageNet.
IMAGES = 2**26

# Most numbers in the paths of one part: 2.3 GiB, held twice; 200 images of CIFAR, 1,000 steps.
PATHS = 200 * 1_002 * 3 * 32 * 32

# Most attacks in a row that each start from the one before. A longer sweep begins anew, because
# tasks nest and Python limits the depth of recursion.
CHAIN = 50


class Attacked:
    """The perturb tasks of a spec, each built once.

    Measures and longer chains share them as objects, which makes them quick to look up.
    """

    def __init__(self, spec: Spec) -> None:
        self._precision: Precision = spec.precision
        # of entries and variants by identity: the spec holds them, and they cannot be hashed
        self._before: dict[int, dict[int, Variant]] = {}
        self._built: dict[tuple[Train, int, Part], Perturb] = {}

    def parts(self, train: Train, variant: Variant, entry: Resolved) -> tuple[Perturb, ...]:
        """One value of an attack's sweep on one trained model, in its parts."""
        total = size(train.dataset, entry.sample)
        most = part_size(train.dataset, cast(Attack, variant.method))
        return tuple(
            self._perturb(train, variant, entry, (start, min(start + most, total)))
            for start in range(0, total, most)
        )

    def _perturb(self, train: Train, variant: Variant, entry: Resolved, part: Part) -> Perturb:
        place = (train, id(variant), part)
        if place not in self._built:
            before = self._order(entry).get(id(variant))
            after = None if before is None else self._perturb(train, before, entry, part)
            attack = cast(Attack, variant.method)
            precision = "float32" if attack.needs_float32 else self._precision
            self._built[place] = Perturb(train, attack, entry.sample, part, precision, after)
        return self._built[place]

    def _order(self, entry: Resolved) -> dict[int, Variant]:
        if id(entry) not in self._before:
            self._before[id(entry)] = _predecessors(entry)
        return self._before[id(entry)]


def part_size(dataset: Dataset, attack: Attack) -> int:
    """Most examples in one perturb task: fewer if images are large or if their paths are kept.

    A part is held in memory.
    """
    numbers, most = math.prod(dataset.shape), IMAGES
    if attack.path_vertices:
        numbers, most = numbers * attack.path_vertices, PATHS
    return min(PART, max(1, most // numbers))


def _predecessors(entry: Resolved) -> dict[int, Variant]:
    """The variant after which each one runs, by id: the same attack on the next smaller set.

    An attack with eps 0 comes before no other: that one would start at x instead of at random.
    """
    field = cast(Attack, entry.variants[0].method).sweep_field
    if field is None or entry.independent:
        return {}
    chains: dict[Method, list[Variant]] = {}
    for variant in entry.variants:
        if getattr(variant.method, field):
            alike = variant.method.model_copy(update={field: 1.0})
            chains.setdefault(alike, []).append(variant)  # pyright: ignore[reportArgumentType]  # frozen: hashable
    before: dict[int, Variant] = {}
    for chain in chains.values():
        chain.sort(key=lambda variant: getattr(variant.method, field))
        for place, (smaller, larger) in enumerate(pairwise(chain), start=1):
            if place % CHAIN:
                before[id(larger)] = smaller
    return before
