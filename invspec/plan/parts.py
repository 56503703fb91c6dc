"""The perturb tasks of an attack: its sample is cut into parts, its sweep runs upwards.

A transfer attack has two for each part: one on the net where its images are made, and one that
judges them on the attacked net.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import cast

from invspec.kinds import Attack, Dataset, Method
from invspec.plan.precisions import Precisions
from invspec.plan.sizes import size
from invspec.spec.resolved import Resolved, Variant
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


class Attacks:
    """The perturb tasks of a spec, each built once.

    Measures and longer chains share them as objects, which makes them quick to look up.
    """

    def __init__(self, precisions: Precisions) -> None:
        self.precisions = precisions
        # of entries and variants by identity: the spec holds them, and they cannot be hashed
        self._smaller: dict[int, dict[int, Variant]] = {}
        self._built: dict[tuple[Train, int, Part], Perturb] = {}
        self._moved: dict[tuple[Train, Train, int, Part], Perturb] = {}

    def parts(
        self,
        train: Train,
        variant: Variant,
        entry: Resolved,
        source: Train | None = None,
        generator: Train | None = None,
    ) -> tuple[Perturb, ...]:
        """The perturb tasks of one value of an attack's sweep on one trained model.

        source is the model on which a transfer attack makes its images. On that model itself it is
        an ordinary attack. generator is the one trained against the model where images are made.
        """
        total = size(train.dataset, entry.sample)
        most = part_size(train.dataset, cast(Attack, variant.method))
        made_on = source or train
        made = tuple(
            self._perturb(made_on, variant, entry, (start, min(start + most, total)), generator)
            for start in range(0, total, most)
        )
        if made_on == train:
            return made
        return tuple(self._transferred(train, variant, perturb) for perturb in made)

    def _transferred(self, train: Train, variant: Variant, made: Perturb) -> Perturb:
        place = (train, made.train, id(variant), made.part)
        if place not in self._moved:
            self._moved[place] = replace(made, train=train, after=None, source=made, generator=None)
        return self._moved[place]

    def _perturb(
        self,
        train: Train,
        variant: Variant,
        entry: Resolved,
        part: Part,
        generator: Train | None = None,
    ) -> Perturb:
        place = (train, id(variant), part)
        if place not in self._built:
            smaller, after = self._order(entry).get(id(variant)), None
            if smaller is not None:
                after = self._perturb(train, smaller, entry, part, generator)
            attack = cast(Attack, variant.method)
            precision = "float32" if attack.needs_float32 else self.precisions.search(train)
            self._built[place] = Perturb(
                train,
                attack,
                entry.sample,
                part,
                precision,
                after,
                before=variant.before,
                generator=generator if attack.wants_generator else None,
            )
        return self._built[place]

    def _order(self, entry: Resolved) -> dict[int, Variant]:
        if id(entry) not in self._smaller:
            self._smaller[id(entry)] = _predecessors(entry)
        return self._smaller[id(entry)]


def part_size(dataset: Dataset, attack: Attack) -> int:
    """Maximum number of examples in one perturb task; smaller for large images or kept paths.

    A part is held in memory.
    """
    numbers, most = math.prod(dataset.shape), MAX_IMAGE_VALUES
    if attack.path_vertices:
        numbers, most = numbers * attack.path_vertices, MAX_PATH_VALUES
    return min(MAX_EXAMPLES, max(1, most // numbers))


def _predecessors(entry: Resolved) -> dict[int, Variant]:
    """The variant after which each one runs, by id: the same attack on the next smaller set.

    Both attack the same images, whatever transforms them.

    An attack with eps 0 starts no chain: the next one would start at x instead of at random.
    """
    field = cast(Attack, entry.variants[0].method).sweep_field
    if field is None or entry.independent:
        return {}
    chains: dict[tuple[Method, Attack | None], dict[float, list[Variant]]] = {}
    for variant in entry.variants:
        if size := getattr(variant.method, field):
            alike = variant.method.model_copy(update={field: 1.0})
            chain = chains.setdefault((alike, variant.before), {})
            # in a smoke run, several values of a sweep share one method
            chain.setdefault(size, []).append(variant)
    smaller: dict[int, Variant] = {}
    for chain in chains.values():
        for place, (first, second) in enumerate(pairwise(sorted(chain)), start=1):
            if place % MAX_CHAIN:
                smaller |= {id(variant): chain[first][0] for variant in chain[second]}
    return smaller
