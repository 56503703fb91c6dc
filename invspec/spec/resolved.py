"""A spec after resolution: every label with its methods, sweeps written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from invspec.kinds import Method, Sample, Targets
from invspec.registry import methods
from invspec.spec.document import Document
from invspec.spec.schema import KINDS, Claim, Layout, Oracle, Scalar, TrainLine

# ─ what it means ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Variant:
    """One method of an entry's sweep and its coordinates: {"pgd.eps": 0.1}."""

    coords: Mapping[str, Scalar]
    method: Method


@dataclass(frozen=True)
class Resolved:
    """An entry with its sweeps written out."""

    variants: tuple[Variant, ...]
    sample: Sample
    of: tuple[str, ...]
    independent: bool = False
    oracle: Oracle | None = None

    @property
    def coords(self) -> tuple[str, ...]:
        """The names of what is swept."""
        return tuple(self.variants[0].coords)


@dataclass(frozen=True)
class Spec:
    """A spec whose every name was found and every parameter accepted. entries["attacks"]["pgd"] is an entry."""

    title: str
    paper: str | None
    seeds: tuple[int, ...]
    precision: Literal["float32", "bfloat16"]
    entries: Mapping[str, Mapping[str, Resolved]]
    train: tuple[TrainLine, ...]
    claims: tuple[Claim, ...]
    report: tuple[Layout, ...]
    source: Document
    options: tuple[str, ...] = ()  # of the command line: --scale laptop, --set a.b=c, --smoke

    @property
    def name(self) -> str:
        """What reports are filed under: the file's name without its ending, the scale, and whether it is a smoke."""
        scale = self.options[1:2] if self.options[:1] == ("--scale",) else ()
        return "-".join(
            [Path(self.source.name).stem, *scale, *(["smoke"] if "--smoke" in self.options else [])]
        )

    @property
    def scales(self) -> tuple[str, ...]:
        """The names of its scales."""
        return tuple(self.source.values.get("scales") or ())

    def smoke(self) -> Spec:
        """The same spec at the lowest price that runs all of its code: fake data, 8 examples, one epoch, two steps."""
        entries = {
            part: {label: _smoke(part, entry) for label, entry in self.entries[part].items()}
            for part in KINDS
        }
        return replace(
            self, seeds=self.seeds[:1], entries=entries, options=(*self.options, "--smoke")
        )


def _smoke(part: str, entry: Resolved) -> Resolved:
    variants = tuple(
        replace(variant, method=methods.smoke(variant.method)) for variant in entry.variants
    )
    few = entry.sample.targets and Targets(each=2)
    sample = entry.sample.model_copy(update={"limit": 8, "per_class": None, "targets": few})
    return replace(entry, variants=variants, sample=sample)
