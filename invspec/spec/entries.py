"""Entries of a spec: labelled methods, and how the spec uses them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from invspec.kinds import Sample
from invspec.registry import messages
from invspec.spec.labels import Label, Labels, Section

# The keys of an entry that only one part can have, and that part.
OWNERS = {
    "of": "measures",
    "union": "measures",
    "correct_in_all": "measures",
    "oracle": "measures",
    "sample": "attacks",
    "from": "attacks",
    "before": "attacks",
    "generator": "attacks",
    "independent": "attacks",
    "threads": "defences",
    "feature_net": "defences",
    "seeds": "datasets",
}

# The keys of an entry that are not fields of its method.
_OWN_KEYS = ("use", *OWNERS)


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
    of: Labels | None = Field(
        default=None, description="label of an attack; of several, the worst result counts"
    )
    union: Flag | None = Field(
        default=None, description="true if the attacks of `of` may search different sets"
    )
    correct_in_all: Flag | None = Field(
        default=None, description="count only images that all nets under the measure get right"
    )
    oracle: Oracle | None = Field(
        default=None, description="net that tells what an image really shows"
    )
    sample: Sample | None = Field(default=None, description="images or pairs that are attacked")
    # `from` is a keyword of Python
    source: Source | None = Field(
        default=None, alias="from", description="net on which the images are made (transfer)"
    )
    before: dict[str, Any] | None = Field(
        default=None, description="transform of the images, such as a rotation, before the attack"
    )
    generator: Generator | None = Field(
        default=None, description="net that makes the images at which the attack starts"
    )
    independent: Flag | None = Field(
        default=None, description="true if values of a sweep over eps share no results"
    )
    threads: Threads | None = Field(
        default=None, description="CPU threads of a training; they are part of its key"
    )
    feature_net: FeatureNet | None = Field(
        default=None, description="net by whose features a training compares images"
    )
    seeds: Seeds | None = Field(
        default=None, description="seeds of the trainings on this data set, not the spec's"
    )
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


_Entry = Annotated[Entry, BeforeValidator(_entry)]
Entries = dict[Label, _Entry]
ENTRY: TypeAdapter[Entry] = TypeAdapter(_Entry)


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


Checks = Annotated[Entries | None, BeforeValidator(_checks)]
