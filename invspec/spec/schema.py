"""A spec as its author writes it, validated by pydantic."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from invspec.kinds import Sample
from invspec.registry import messages
from invspec.spec.claims import Bound, Claim, Compare, Pick, Reduction, Statistic, Trend
from invspec.spec.labels import PARTS, Coords, Label, Labels, Scalar, Section
from invspec.spec.layouts import Against, FigureKind, Layout

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


def _checks(value: Any) -> Any:
    """Checks by label: `none`, a list of names and entries, or entries as in other parts."""
    if value == "none":
        return {}
    if isinstance(value, dict) or value is None:
        return cast(Any, value)
    if not isinstance(value, list) or not value:
        wanted = "none, or a list of checks like [default, {use: gradient}]"
        raise ValueError(f"expected {wanted}, found {messages.shown(value)}")
    labelled: dict[str, Any] = {}
    for item in cast(list[Any], value):
        label = cast(dict[str, Any], item).get("use") if isinstance(item, dict) else item
        if not isinstance(label, str):
            raise ValueError(
                f"expected the name of a check or {{use: name}}, found {messages.shown(item)}"
            )
        if label in labelled:
            raise ValueError(f"expected distinct checks, found {label} more than once")
        labelled[label] = item if isinstance(item, dict) else None
    return labelled


_CHECKS: dict[str, Any] = {
    "anyOf": [{"const": "none"}, {"type": "array", "minItems": 1}, {"type": "object"}],
    "description": "none, or checks of nets and attacks; default: all that ship with invspec",
}
Checks = Annotated[Entries | None, BeforeValidator(_checks), WithJsonSchema(_CHECKS)]


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
    """A spec as its author wrote it."""

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
    checks: Checks = None
    claims: tuple[Claim, ...] = ()
    report: tuple[Layout, ...] = ()
    scales: dict[Label, dict[str, Any]] = Field(default={})

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        seed, times = Counter(seeds).most_common(1)[0]
        if times > 1:
            raise ValueError(f"expected distinct seeds, found duplicate seed {seed}")
        return seeds
