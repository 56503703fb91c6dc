"""A spec after resolution: every label with its methods, sweeps written out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from invspec.kinds import Attack, Check, Method, Sample, Targets
from invspec.registry import methods
from invspec.spec.document import Document
from invspec.spec.labels import Scalar
from invspec.spec.schema import Claim, FeatureNet, Generator, Layout, Oracle, Source, TrainLine


@dataclass(frozen=True)
class Variant:
    """One method of an entry's sweep and its coordinates: {"pgd.eps": 0.1}.

    before, of an attack, transforms the images that it attacks.
    """

    coords: Mapping[str, Scalar]
    method: Method
    before: Attack | None = None

    def smoke(self) -> Variant:
        """The same variant with the cheapest methods."""
        before = None if self.before is None else self.before.smoke()
        return replace(self, method=methods.smoke(self.method), before=before)


@dataclass(frozen=True)
class Resolved:
    """An entry with its sweeps written out."""

    variants: tuple[Variant, ...]
    sample: Sample
    of: tuple[str, ...]
    independent: bool = False
    oracle: Oracle | None = None
    threads: int = 1
    source: Source | None = None
    union: bool = False
    correct_in_all: bool = False
    generator: Generator | None = None
    feature_net: FeatureNet | None = None
    seeds: tuple[int, ...] | None = None

    @property
    def coords(self) -> tuple[str, ...]:
        """The names of the swept fields."""
        return tuple(self.variants[0].coords)

    def smoke(self) -> Resolved:
        """The same entry with cheap methods, on 8 examples with 2 targets each.

        Of a sweep of numbers it computes the first and the last value; those between show the
        results of the last.
        """
        variants = tuple(variant.smoke() for variant in _at_ends(self.variants))
        targets = self.sample.targets and Targets(each=2)
        few = self.sample.model_copy(update={"limit": 8, "per_class": None, "targets": targets})
        return replace(
            self,
            variants=variants,
            sample=few,
            # nets of one epoch may classify no image correctly in common
            correct_in_all=False,
            seeds=self.seeds and self.seeds[:1],
        )


def _at_ends(variants: Sequence[Variant]) -> Iterator[Variant]:
    """Each variant with a method at the ends of its sweeps of numbers: the first or the last value.

    All values but the first take the last. Coordinates are kept, so that each still has its row.
    """
    values = {name: [variant.coords[name] for variant in variants] for name in variants[0].coords}
    swept = {name for name, along in values.items() if not any(isinstance(v, str) for v in along)}
    by_place = {tuple(variant.coords.values()): variant for variant in variants}
    for variant in variants:
        place = tuple(
            values[name][-1] if name in swept and value != values[name][0] else value
            for name, value in variant.coords.items()
        )
        yield replace(by_place[place], coords=variant.coords)


def _digest(settings: Mapping[str, str]) -> str:
    """A few digits that stand for settings in the name of a file."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Spec:
    """A spec with valid methods. entries["attacks"]["pgd"] is an entry. checks are by label.

    options are the command-line options that changed it: --scale laptop, --set a.b=c, --smoke.
    """

    title: str
    paper: str | None
    seeds: tuple[int, ...]
    precision: Literal["float32", "bfloat16", "auto"]
    entries: Mapping[str, Mapping[str, Resolved]]
    train: tuple[TrainLine, ...]
    claims: tuple[Claim, ...]
    report: tuple[Layout, ...]
    source: Document
    options: tuple[str, ...] = ()
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])
    seeds_paired: bool = False
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def seeds_on(self, dataset: str) -> tuple[int, ...]:
        """The seeds of the trainings on the data set of this label."""
        return self.entries["datasets"][dataset].seeds or self.seeds

    @property
    def seeds_by_dataset(self) -> dict[str, tuple[int, ...]]:
        """The seeds of the trainings on each data set, by its label."""
        return {label: self.seeds_on(label) for line in self.train for label in line.dataset}

    @property
    def scale(self) -> str | None:
        """The name of the scale that it runs at; None for the full size."""
        return self.options[1] if self.options[:1] == ("--scale",) else None

    @property
    def name(self) -> str:
        """The name of its reports: that of its file, then scale, digest of settings, `smoke`."""
        scale = () if self.scale is None else (self.scale,)
        settings = [_digest(self.settings)] if self.settings else []
        smoke = ["smoke"] if self.is_smoke else []
        return "-".join([Path(self.source.name).stem, *scale, *settings, *smoke])

    @property
    def settings(self) -> Mapping[str, str]:
        """The values of --set by their dotted paths."""
        pairs = zip(self.options, self.options[1:], strict=False)
        texts = (text.partition("=") for option, text in pairs if option == "--set")
        return {dotted: value for dotted, _, value in texts}

    @property
    def is_smoke(self) -> bool:
        """Whether it is the version that `smoke` returned."""
        return "--smoke" in self.options

    @property
    def scales(self) -> tuple[str, ...]:
        """The names of its scales."""
        return tuple(self.source.values.get("scales") or ())

    def smoke(self) -> Spec:
        """The cheapest version that runs all of its code.

        It uses generated images, 8 examples, one seed, one epoch, two steps, and two values of each
        sweep of numbers.
        """
        entries = {
            part: {label: entry.smoke() for label, entry in entries.items()}
            for part, entries in self.entries.items()
        }
        checks = {label: check.smoke() for label, check in self.checks.items()}
        return replace(
            self,
            seeds=self.seeds[:1],
            entries=entries,
            checks=checks,
            options=(*self.options, "--smoke"),
        )
