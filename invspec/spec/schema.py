"""A spec as its author writes it, validated by pydantic."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from invspec.kinds import Sample
from invspec.registry import messages
from invspec.spec.bounds import Bound, Statistic
from invspec.spec.claims import Claim
from invspec.spec.labels import PARTS, Coords, Label, Labels, Scalar, Section
from invspec.spec.layouts import Against, FigureKind, Layout
from invspec.spec.numbers import Compare, Operation, Pick, Reduction, Trend

__all__ = [
    "PARTS",
    "Against",
    "Bound",
    "Claim",
    "Compare",
    "Coords",
    "Entry",
    "FigureKind",
    "Label",
    "Labels",
    "Layout",
    "Operation",
    "Oracle",
    "Pick",
    "Reduction",
    "Scalar",
    "Statistic",
    "TrainLine",
    "Trend",
    "Written",
]

# The keys of an entry that are not fields of its method.
_OWN_KEYS = ("use", "of", "oracle", "sample", "independent", "threads")


class Oracle(Section):
    """A second classifier that a measure uses as ground truth: labels of a model and a defence."""

    model: str
    defence: str


Threads = Annotated[int, Field(ge=1, le=1024, strict=True)]


class Entry(Section):
    """A labelled method: its name in the registry, its fields, and how the spec uses it.

    A measure is `of` attacks and may need an `oracle`. An attack has a `sample`; if it is
    `independent`, values of a sweep over the size of its searched set do not share results. A
    defence may train on several `threads`.
    """

    use: str | None = None
    of: Labels | None = None
    oracle: Oracle | None = None
    sample: Sample | None = None
    independent: Annotated[bool, Field(strict=True)] | None = None
    threads: Threads | None = None
    fields: dict[str, Any] = Field(default={})


def _entry(value: Any) -> Any:
    """Keys as an Entry has them. An empty entry is the method named by its label."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        wanted = "parameters, like {eps: 0.1}, or nothing"
        raise ValueError(f"expected {wanted}, found {messages.shown(value)}")
    keys = cast(dict[str, Any], value)
    own = {key: keys[key] for key in _OWN_KEYS if key in keys}
    return {**own, "fields": {name: item for name, item in keys.items() if name not in _OWN_KEYS}}


Entries = dict[Label, Annotated[Entry, BeforeValidator(_entry)]]


class TrainLine(Section):
    """Every combination of these labels is trained.

    `measures` restricts what is measured on the trained models (default: all measures).
    """

    dataset: Labels
    model: Labels
    defence: Labels
    measures: Labels | None = None


Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


class Written(Section):
    """A spec as its author wrote it.

    `seeds` is a list, or `{paired: [0, 1]}`: then nets that differ only in their defence, which
    start from the same weights and see the images in the same order, are paired seed by seed.
    """

    title: Annotated[str, Field(min_length=1, max_length=200)]
    paper: str | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    datasets: Entries
    models: Entries
    defences: Entries
    attacks: Entries
    measures: Entries
    train: Annotated[tuple[TrainLine, ...], Field(min_length=1)]
    claims: tuple[Claim, ...] = ()
    report: tuple[Layout, ...] = ()
    scales: dict[Label, dict[str, Any]] = Field(default={})
    seeds_paired: SkipJsonSchema[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _paired_seeds(cls, values: Any) -> Any:
        """Write `seeds: {paired: [0, 1]}` as a list and a flag, which has no key of its own."""
        if not isinstance(values, dict):
            return values
        keys = cast(dict[str, Any], values)
        if "seeds_paired" in keys:
            raise ValueError("expected seeds: {paired: [...]}, found the key seeds_paired")
        seeds = keys.get("seeds")
        if not isinstance(seeds, dict) or list(cast(dict[str, Any], seeds)) != ["paired"]:
            return keys
        return {**keys, "seeds": seeds["paired"], "seeds_paired": True}

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        seed, times = Counter(seeds).most_common(1)[0]
        if times > 1:
            raise ValueError(f"expected distinct seeds, found duplicate seed {seed}")
        return seeds
