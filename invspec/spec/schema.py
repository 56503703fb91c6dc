"""A spec as its author writes it, validated by pydantic."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic.json_schema import SkipJsonSchema

from invspec.errors import SpecError
from invspec.kinds import Sample
from invspec.registry import messages
from invspec.spec.bounds import Bound, Statistic
from invspec.spec.claims import Claim
from invspec.spec.labels import PARTS, Coords, Label, Labels, Scalar, Section
from invspec.spec.layouts import Against, FigureKind, Layout, Names
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
    "Generator",
    "Label",
    "Labels",
    "Layout",
    "Net",
    "Operation",
    "Oracle",
    "Pick",
    "Reduction",
    "Scalar",
    "Source",
    "Statistic",
    "TrainLine",
    "Trend",
    "Written",
]

# The keys of an entry that are not fields of its method.
_OWN_KEYS = (
    "use",
    "of",
    "union",
    "correct_in_all",
    "oracle",
    "sample",
    "from",
    "before",
    "generator",
    "independent",
    "threads",
    "feature_net",
    "seeds",
)


class Net(Section):
    """Base class of sections that name a net of the spec, by its model and its defence."""

    model: str
    defence: str


class Oracle(Net):
    """A second classifier that a measure uses as ground truth: labels of a model and a defence."""


class Source(Net):
    """The net on which a transfer attack makes its images: labels of a model and a defence."""


class Generator(Net):
    """The net that makes the images at which an attack starts: labels of a model and a defence.

    It is trained against each net under the attack.
    """


class FeatureNet(Net):
    """The net by whose features a training compares images: labels of a model and a defence.

    It is trained on the same data and from the same seed.
    """


def _different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    seed, times = Counter(seeds).most_common(1)[0]
    if times > 1:
        raise ValueError(f"expected distinct seeds, found duplicate seed {seed}")
    return seeds


Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_different)]
Threads = Annotated[int, Field(ge=1, le=1024, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class Entry(Section):
    """A labelled method: its name in the registry, its fields, and how the spec uses it.

    A measure is `of` attacks and may need an `oracle`. Several attacks in place of one mean the
    worst of their results for each example; with `union` these attacks may search different sets.
    With `correct_in_all` only examples count that all nets under the measure classify correctly. An
    attack has a `sample`; with `from` it makes its images on another net, and with `before` it
    attacks transformed images. It may need a `generator`, which a line of `train` trains. If it is
    `independent`, values of a sweep over the size of its searched set do not share results. A
    defence may train on several `threads`, and compare images by a `feature_net`. Trainings on a
    data set may have `seeds` of their own.
    """

    use: str | None = None
    of: Labels | None = None
    union: Flag | None = None
    correct_in_all: Flag | None = None
    oracle: Oracle | None = None
    sample: Sample | None = None
    # `from` is a keyword of Python
    source: Source | None = Field(default=None, alias="from")
    before: dict[str, Any] | None = None
    generator: Generator | None = None
    independent: Flag | None = None
    threads: Threads | None = None
    feature_net: FeatureNet | None = None
    seeds: Seeds | None = None
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

    Models that make images are generators: each is trained against all nets under the attacks that
    name it, and has no measures. `measures` restricts what is measured on the trained models
    (default: all measures).
    """

    dataset: Labels
    model: Labels
    defence: Labels
    measures: Labels | None = None


# the key of the files that a spec extends, which `extend.read` merges
EXTENDS = "extends"


def is_private(key: str) -> bool:
    """Whether a top-level key is ignored: it begins with x-, and holds anchors for the rest."""
    return key.startswith("x-")


_Files = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Files = Annotated[str, Field(min_length=1)] | _Files


class Written(Section):
    """A spec as its author wrote it.

    `seeds` is a list, or `{paired: [0, 1]}`: then nets that differ only in their defence, which
    start from the same weights and see the images in the same order, are paired seed by seed.
    Files that it `extends` are merged with it when it is read. Keys that begin with `x-` are
    ignored.
    """

    extends: Files | None = Field(
        default=None, description="files below this one: their keys count where it has none"
    )
    title: Annotated[str, Field(min_length=1, max_length=200)]
    paper: str | None = None
    seeds: Seeds = (0,)
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
    names: Names = Field(
        default={}, description="what tables and figures call measures, coordinates and values"
    )
    scales: dict[Label, dict[str, Any]] = Field(default={})
    seeds_paired: SkipJsonSchema[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _without_keys_of_files(cls, values: Any) -> Any:
        """Drop private keys, and refuse `extends` from an option, which comes too late."""
        if not isinstance(values, dict):
            return values
        keys = cast(dict[str, Any], values)
        if EXTENDS in keys:
            message = "files are extended before scales and --set are applied"
            error = SpecError(message, hint="write it in the spec itself", path=(EXTENDS,))
            raise messages.NestedError(error)
        return {key: value for key, value in keys.items() if not is_private(key)}

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
