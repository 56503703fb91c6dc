"""A spec: what meets what. YAML text to methods with their sweeps written out; every complaint says file and line."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from invspec import document, registry
from invspec.cards import Kind, card, papers, shipped
from invspec.document import Document, Steps
from invspec.errors import SpecError, suggest
from invspec.kinds import Measure, Method, Number, Sample, Targets

Scalar = str | float | int | bool
Coords = dict[str, Scalar]

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
KINDS: dict[str, Kind] = {
    "datasets": "dataset",
    "models": "model",
    "defences": "defence",
    "attacks": "attack",
    "measures": "measure",
}
RESERVED = ("use", "of", "oracle", "sample", "independent")  # the spec's own words in an entry
AXES = ("dataset", "model", "defence", "attack", "measure", "seed")  # the coordinates that every cell has
MAX_VARIANTS = 10_000  # of all entries together


# ─ what is written ────────────────────────────────────────────────────────────────────────────────────────────────────


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _listed(value: Any) -> Any:
    """A single label stands for a list of one."""
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"expected a label or a list of labels, found {registry.shown(value)}")
    return [value] if isinstance(value, str) else cast(Sequence[Any], value)


def _label(value: Any) -> Any:
    if isinstance(value, str) and not LABEL.fullmatch(value):
        raise ValueError("expected a label: a letter, then at most 63 letters, digits, - and _")
    return value


_TEXT: dict[str, Any] = {"type": "string"}
_ONE_OR_MORE = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
Label = Annotated[str, BeforeValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^{LABEL.pattern}$"})]
Labels = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1), WithJsonSchema(_ONE_OR_MORE)]


def _entry(value: Any) -> Any:
    """The spec's own words and all fields as an Entry; an empty one is the method of that name as it is."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise ValueError("expected parameters, like {eps: 0.1}, or nothing")
    given = cast(dict[str, Any], value)
    own = {word: given[word] for word in RESERVED if word in given}
    return {**own, "fields": {name: item for name, item in given.items() if name not in RESERVED}}


class Oracle(_Part):
    """The labels of a model and of its training, whose word a measure takes for what images show."""

    model: str
    defence: str


class Entry(_Part):
    """One labelled method: its name in the registry, its fields, and what the spec itself says of it.

    Of a measure, the attacks it is `of` and, if it wants one, its `oracle`; of an attack, its sample, and whether each
    value of a sweep over the size of what is searched is to run by itself: `independent`.
    """

    use: str | None = None
    of: Labels | None = None
    oracle: Oracle | None = None
    sample: Sample | None = None
    independent: Annotated[bool, Field(strict=True)] | None = None
    fields: dict[str, Any] = {}


Entries = dict[Label, Annotated[Entry, BeforeValidator(_entry)]]


class TrainLine(_Part):
    """Every product of these labels is trained; `measures` restricts what is measured on it (default: all)."""

    dataset: Labels
    model: Labels
    defence: Labels
    measures: Labels | None = None


Reduction = Literal["mean", "area", "least", "greatest", "magnitude"]


class Pick(_Part):
    """Cells of one measure: those whose coordinates are as given, reduced over the coordinates in `over`.

    Seeds are always averaged. `area` is the area under the profile divided by its width, `magnitude` the greatest
    number without its sign.
    """

    measure: str
    at: Coords = {}
    over: dict[str, Reduction] = {}


class Compare(Pick):
    """Two picks that differ in `of` and `to`: the first minus, or divided by, the second."""

    of: Coords
    to: Coords


class Trend(Pick):
    """A pick for each value of the coordinate `along`; the claim is about their rank correlation with it."""

    along: str


class Bound(_Part):
    """What a number must be. `near` needs `within`."""

    above: Number | None = None
    below: Number | None = None
    near: Number | None = None
    within: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.near is None) != (self.within is None):
            raise ValueError("near and within go together")
        if self.above is None and self.below is None and self.near is None:
            raise ValueError("expected above, below, or near with within")
        low, high = self.range
        if low >= high:
            raise ValueError(f"no number is above {low:g} and below {high:g}")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """The open interval in which the number must lie."""
        low = -math.inf if self.above is None else self.above
        high = math.inf if self.below is None else self.below
        if self.near is not None and self.within is not None:
            low, high = max(low, self.near - self.within), min(high, self.near + self.within)
        return low, high


Statistic = Literal["value", "difference", "ratio", "correlation"]
_OF_FORM: dict[str, tuple[Statistic, ...]] = {
    "value": ("value",),
    "compare": ("difference", "ratio"),
    "trend": ("correlation",),
}


def _expectation(value: Any) -> Any:
    """`rising` and `falling` are short for a correlation above and below 0."""
    short = {"rising": {"correlation": {"above": 0.0}}, "falling": {"correlation": {"below": 0.0}}}
    if value in ("rising", "falling"):
        return short[value]
    if not isinstance(value, dict) or len(cast(dict[str, Any], value)) != 1:
        found = registry.shown(value)
        raise ValueError(f"expected rising, falling, or one statistic, like {{value: {{above: 0.5}}}}, found {found}")
    return cast(dict[str, Any], value)


class Claim(_Part):
    """A sentence of a paper and the number that would bear it out. `published` is the paper's own number."""

    says: str
    source: str | None = None
    published: Number | None = None
    value: Pick | None = None
    compare: Compare | None = None
    trend: Trend | None = None
    expect: Annotated[dict[Statistic, Bound], BeforeValidator(_expectation)]

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [form for form in _OF_FORM if getattr(self, form) is not None]
        if len(forms) != 1:
            raise ValueError(f"a claim has one of value, compare, trend; found {' and '.join(forms) or 'none'}")
        if self.statistic not in _OF_FORM[forms[0]]:
            wanted = " or ".join(_OF_FORM[forms[0]])
            raise ValueError(f"a {forms[0]} claim expects something of its {wanted}, found {self.statistic}")
        return self

    @property
    def statistic(self) -> Statistic:
        """What the bound is about."""
        return next(iter(self.expect))

    @property
    def bound(self) -> Bound:
        """What the statistic must be."""
        return self.expect[self.statistic]

    @property
    def pick(self) -> Pick:
        """The one form that was given."""
        chosen = self.value or self.compare or self.trend
        assert chosen is not None, "a claim without a form"
        return chosen

    @property
    def form(self) -> str:
        """value, compare or trend."""
        return next(form for form in _OF_FORM if getattr(self, form) is not None)


FigureKind = Literal["profile", "beside", "band", "matrix", "images", "regions", "heatmap", "plane", "none"]


class Against(_Part):
    """The cells of a second measure, one for each cell of a layout."""

    of: str
    at: Coords = {}


class Layout(_Part):
    """One table, and a figure of it, of one measure: which coordinates run down and across.

    figure says what is drawn.
    profile: a line a row with its interval, a panel for each name of the first row coordinate.
    beside: the same, as a further panel of the layout before it.
    band: from the lowest to the highest value of the last row coordinate, one for each value of the row coordinate
    before it, a panel for each of what else tells rows apart. The columns are numbers.
    plane: a point a row, this measure across and the one in against upwards.
    matrix: a panel for each score that keeps a `matrix` of target classes by source classes, numbers in its cells.
    images: a grid for each score that keeps `images`, with their confidences below them and the originals framed;
    the columns are source classes or, where the score has a row for each, what tells those rows apart.
    regions: a row of panels for each plane that a score keeps in `regions`, a panel a classifier: the class that it
    gives to each point, and circles on which the class is known.
    heatmap: the first matrix, whatever it is, that each score keeps.
    none: the table alone.

    legend is the text of a line, {name} in it standing for a coordinate of its row:
    "{rotations.max_degrees}/0".
    """

    of: str
    title: str | None = None
    at: Coords = {}
    rows: Labels | None = None
    columns: str | None = None
    figure: FigureKind = "profile"
    legend: str | None = None
    against: Against | None = None

    @model_validator(mode="after")
    def _a_plane_has_two_axes(self) -> Self:
        if (self.figure == "plane") != (self.against is not None):
            raise ValueError("figure: plane and against go together")
        return self


Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


class Written(_Part):
    """The spec as its author wrote it."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    paper: str | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    precision: Literal["float32", "bfloat16"] = "float32"
    datasets: Entries
    models: Entries
    defences: Entries
    attacks: Entries
    measures: Entries
    train: Annotated[tuple[TrainLine, ...], Field(min_length=1)]
    claims: tuple[Claim, ...] = ()
    report: tuple[Layout, ...] = ()
    scales: dict[Label, dict[str, Any]] = {}

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if twice := [seed for seed, times in Counter(seeds).items() if times > 1]:
            raise ValueError(f"the seed {twice[0]} stands twice")
        return seeds


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
        return "-".join([Path(self.source.name).stem, *scale, *(["smoke"] if "--smoke" in self.options else [])])

    @property
    def scales(self) -> tuple[str, ...]:
        """The names of its scales."""
        return tuple(self.source.values.get("scales") or ())

    def smoke(self) -> Spec:
        """The same spec at the lowest price that runs all of its code: fake data, 8 examples, one epoch, two steps."""
        entries = {part: {label: _smoke(part, entry) for label, entry in self.entries[part].items()} for part in KINDS}
        return replace(self, seeds=self.seeds[:1], entries=entries, options=(*self.options, "--smoke"))


def _smoke(part: str, entry: Resolved) -> Resolved:
    variants = tuple(replace(variant, method=_cheap(part, variant.method)) for variant in entry.variants)
    few = entry.sample.targets and Targets(each=2)
    sample = entry.sample.model_copy(update={"limit": 8, "per_class": None, "targets": few})
    return replace(entry, variants=variants, sample=sample)


def _cheap(part: str, method: Method) -> Method:
    if part != "datasets":
        return method.smoke()
    data = cast(Any, method)
    bounds = tuple(bound if math.isfinite(bound) else None for bound in data.bounds)
    like = {"shape": data.shape, "classes": data.classes, "bounds": bounds}
    return registry.make("dataset", "fake", {**like, "train": 128})


def find(name: str) -> Path:
    """A path to a spec, or the name of one that ships with invspec. Raises SpecError with the nearest name."""
    if (path := Path(name)).suffix or len(path.parts) != 1 or os.path.lexists(name):
        return path
    known = {spec.stem: spec for spec in shipped("specs").glob("*.yaml")}
    if name not in known:
        raise SpecError(f"no spec is named {name!r}", hint=suggest(name, known))
    return known[name]


def load(path: Path, scale: str | None = None, settings: Sequence[str] = ()) -> Spec:
    """Read a spec, lay a scale and then `a.b=c` settings over it, and resolve every name in it."""
    written = document.read(path)
    for dotted, value, place in itertools.chain(_scale(written, scale), map(_setting, settings)):
        written = written.overlay(dotted, value, place)
    options = (*(["--scale", scale] if scale else []), *(word for text in settings for word in ("--set", text)))
    return replace(resolve(written), options=options)


def _scale(source: Document, name: str | None) -> Iterator[tuple[str, Any, str]]:
    if name is None:
        return
    scales = source.values.get("scales") if isinstance(source.values, dict) else None
    if not isinstance(scales, dict) or not isinstance(scales.get(name), dict):
        known = scales if isinstance(scales, dict) else {}
        raise SpecError(f"{source.name} has no scale {name!r}", where="--scale", hint=suggest(name, known))
    for dotted, value in scales[name].items():
        yield dotted, value, source.place(("scales", name, dotted))


def _setting(text: str) -> tuple[str, Any, str]:
    dotted, found, value = text.partition("=")
    if not found or not dotted:
        raise SpecError(f"found {text!r}", where="--set", hint="expected a.b=value, like attacks.pgd.steps=10")
    return dotted, document.scalar(value, "--set"), "--set"


def resolve(source: Document) -> Spec:
    """Validate values and look every name up."""
    try:
        return _resolve(source)
    except SpecError as problem:
        raise source.locate(problem) from None


def _resolve(source: Document) -> Spec:
    if not isinstance(source.values, dict):
        found = registry.shown(source.values)
        raise SpecError(f"expected the keys of a spec, found {found}", hint=f"keys: {', '.join(Written.model_fields)}")
    values = cast(dict[str, Any], source.values)
    try:
        written = Written.model_validate(values)
    except ValidationError as problem:
        raise registry.explain(problem, Written, values) from None
    if written.paper is not None and written.paper not in papers():
        raise SpecError(f"no paper {written.paper!r}", hint=suggest(written.paper, papers()), path=("paper",))
    _check_size(written)
    entries = {part: _entries(part, getattr(written, part)) for part in KINDS}
    _check_labels(entries)
    _check_train(written.train, entries)
    return Spec(
        written.title,
        written.paper,
        written.seeds,
        written.precision,
        entries,
        written.train,
        written.claims,
        written.report,
        source,
    )


def _check_size(written: Written) -> None:
    """Refuse sweeps that multiply to more than can be planned, before any is written out."""
    count = 0
    for part in KINDS:
        for label, entry in getattr(written, part).items():
            count += math.prod(len(values) for _, values in _sweeps(entry.fields, (part, label)))
            if count > MAX_VARIANTS:
                raise SpecError(f"sweeps give more than {MAX_VARIANTS:,} methods up to here", path=(part, label))


def _entries(part: str, entries: Mapping[str, Entry]) -> dict[str, Resolved]:
    if not entries:
        raise SpecError("is empty; at least one is needed", path=(part,))
    return {label: _entry_resolved(part, label, entry) for label, entry in entries.items()}


def _entry_resolved(part: str, label: str, entry: Entry) -> Resolved:
    owners = {"of": "measures", "oracle": "measures", "sample": "attacks", "independent": "attacks"}
    for word, owner in owners.items():
        if getattr(entry, word) is not None and part != owner:
            raise SpecError(f"{word} belongs to {owner}, not to {part}", path=(part, label, word))
    try:
        card(KINDS[part], entry.use or label)
    except SpecError as problem:
        raise problem.within(part, label, *(("use",) if entry.use else ())) from None
    variants = tuple(_variants(part, label, entry))
    if part == "measures":
        _check_of(cast(Measure, variants[0].method), label, entry)
        _check_oracle(cast(Measure, variants[0].method), label, entry)
    return Resolved(variants, entry.sample or Sample(), entry.of or (), bool(entry.independent), entry.oracle)


def _check_of(measure: Measure, label: str, entry: Entry) -> None:
    least, most = measure.takes
    found = len(entry.of or ())
    if not least <= found <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise SpecError(
            f"{type(measure).__name__} is of {wanted} attack{'s' if most > 1 else ''}, found {found}",
            hint="say `of: [label of an attack]`",
            path=("measures", label, *(("of",) if entry.of else ())),
        )


def _check_oracle(measure: Measure, label: str, entry: Entry) -> None:
    name = type(measure).__name__
    if measure.wants_oracle and entry.oracle is None:
        hint = "say `oracle: {model: label, defence: label}`, a second classifier that is believed"
        raise SpecError(f"{name} needs an oracle", hint=hint, path=("measures", label))
    if entry.oracle is not None and not measure.wants_oracle:
        raise SpecError(f"{name} asks no oracle", hint="take it out", path=("measures", label, "oracle"))


def _variants(part: str, label: str, entry: Entry) -> Iterator[Variant]:
    axes = [(path[2:], values) for path, values in _sweeps(entry.fields, (part, label))]
    seen: set[tuple[Scalar, ...]] = set()
    for chosen in itertools.product(*(range(len(values)) for _, values in axes)):
        fields = entry.fields
        for (path, values), which in zip(axes, chosen, strict=True):
            fields = _with(fields, path, values[which])
        method = _make(part, label, entry.use or label, fields, axes, chosen)
        coords = {f"{label}.{'.'.join(map(str, path))}": _coordinate(method, fields, path) for path, _ in axes}
        if tuple(coords.values()) in seen:
            path = (part, label, *axes[-1][0])
            raise SpecError(f"a sweep gives {_listing(coords)} twice", hint="cells could not be told apart", path=path)
        seen.add(tuple(coords.values()))
        yield Variant(coords, method)


def _listing(coords: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{name} {value}" for name, value in coords.items())


def _make(
    part: str, label: str, name: str, fields: dict[str, Any], axes: list[tuple[Steps, list[Any]]], chosen: Sequence[int]
) -> Method:
    try:
        return registry.make(KINDS[part], name, fields)
    except SpecError as problem:
        path = problem.path
        for (axis, _), which in zip(axes, chosen, strict=True):
            if path[: len(axis)] == axis:  # point at the value in the sweep, not at the sweep
                path = (*axis, "sweep", which, *path[len(axis) :])
        raise SpecError(problem.message, where=problem.where, hint=problem.hint, path=(part, label, *path)) from None


def _sweeps(value: Any, path: Steps) -> Iterator[tuple[Steps, list[Any]]]:
    """Every {sweep: [...]} below an entry, with its path, which begins with the entry's."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if "sweep" in fields:
            yield path, _sweep(fields, path)
            return
        for name, item in fields.items():
            yield from _sweeps(item, (*path, name))


def _sweep(fields: dict[str, Any], path: Steps) -> list[Any]:
    values = fields["sweep"]
    if len(fields) > 1 or len(path) == 2:
        hint = "write field: {sweep: [...]}"
        raise SpecError("a sweep stands alone, in place of one field's value", hint=hint, path=path)
    if not isinstance(values, list) or not values:
        found = registry.shown(values)
        raise SpecError(f"expected a list of at least one value, found {found}", path=(*path, "sweep"))
    return cast(list[Any], values)


def _with(fields: dict[str, Any], path: Steps, value: Any) -> dict[str, Any]:
    """A copy of nested fields in which the one at path is value."""
    first = cast(str, path[0])
    return {**fields, first: value if len(path) == 1 else _with(fields[first], path[1:], value)}


def _coordinate(method: Method, fields: Mapping[str, Any], path: Steps) -> Scalar:
    """A swept field as a coordinate: its value; of a method, its name in the registry."""
    value, written = cast(Any, method), cast(Any, fields)
    for name in path:
        value, written = getattr(value, str(name), None), written[name]
    if isinstance(written, dict):
        return str(cast(dict[str, Any], written).get("use"))
    return value if isinstance(value, Scalar) else str(written if value is None else value)


def _check_labels(entries: Mapping[str, Mapping[str, Resolved]]) -> None:
    for label, measure in entries["measures"].items():
        for attack in measure.of:
            _known(attack, entries["attacks"], "attack", ("measures", label, "of"))
        if measure.oracle is not None:
            _check_oracle_labels(measure.oracle, entries, ("measures", label, "oracle"))
    swept = [(part, label) for part in KINDS for label in entries[part] if entries[part][label].coords]
    for (_, first), (part, second) in itertools.combinations(swept, 2):
        if first == second:
            raise SpecError(f"{second!r} names two swept entries; give one another label", path=(part, second))


def _check_oracle_labels(oracle: Oracle, entries: Mapping[str, Mapping[str, Resolved]], path: Steps) -> None:
    """An oracle is one model, trained in one way."""
    for noun, label in (("model", oracle.model), ("defence", oracle.defence)):
        _known(label, known := entries[noun + "s"], noun, (*path, noun))
        if len(known[label].variants) > 1:
            raise SpecError(f"{noun} {label} is swept, and an oracle is one net", path=(*path, noun))


def _check_train(lines: Iterable[TrainLine], entries: Mapping[str, Mapping[str, Resolved]]) -> None:
    parts = {"dataset": "datasets", "model": "models", "defence": "defences", "measures": "measures"}
    for number, line in enumerate(lines):
        for field, part in parts.items():
            for label in getattr(line, field) or ():
                _known(label, entries[part], field.removesuffix("s"), ("train", number, field))


def _known(label: str, known: Iterable[str], noun: str, path: Steps) -> None:
    if label not in (labels := list(known)):
        raise SpecError(f"no {noun} is labelled {label!r} in this spec", hint=suggest(label, labels), path=path)
