"""A spec as its author writes it, validated by pydantic."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from invspec.kinds import Number, Sample
from invspec.registry import messages
from invspec.registry.cards import Kind

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


AXES = (
    "dataset",
    "model",
    "defence",
    "attack",
    "measure",
    "seed",
)  # the coordinates that every cell has


# ─ what is written ────────────────────────────────────────────────────────────────────────────────────────────────────


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _listed(value: Any) -> Any:
    """A single label stands for a list of one."""
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"expected a label or a list of labels, found {messages.shown(value)}")
    return [value] if isinstance(value, str) else cast(Sequence[Any], value)


def _label(value: Any) -> Any:
    if isinstance(value, str) and not LABEL.fullmatch(value):
        raise ValueError("expected a label: a letter, then at most 63 letters, digits, - and _")
    return value


_TEXT: dict[str, Any] = {"type": "string"}


_ONE_OR_MORE = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}


Label = Annotated[
    str,
    BeforeValidator(_label),
    WithJsonSchema({"type": "string", "pattern": f"^{LABEL.pattern}$"}),
]


Labels = Annotated[
    tuple[str, ...], BeforeValidator(_listed), Field(min_length=1), WithJsonSchema(_ONE_OR_MORE)
]


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
        found = messages.shown(value)
        raise ValueError(
            f"expected rising, falling, or one statistic, like {{value: {{above: 0.5}}}}, found {found}"
        )
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
            raise ValueError(
                f"a claim has one of value, compare, trend; found {' and '.join(forms) or 'none'}"
            )
        if self.statistic not in _OF_FORM[forms[0]]:
            wanted = " or ".join(_OF_FORM[forms[0]])
            raise ValueError(
                f"a {forms[0]} claim expects something of its {wanted}, found {self.statistic}"
            )
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


FigureKind = Literal[
    "profile", "beside", "band", "matrix", "images", "regions", "heatmap", "plane", "none"
]


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
