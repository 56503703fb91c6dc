"""A spec as its author writes it, validated by pydantic."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from invspec.errors import SpecError
from invspec.registry import messages
from invspec.spec.bounds import Bound, Statistic
from invspec.spec.claims import Claim
from invspec.spec.entries import (
    Checks,
    Entries,
    Entry,
    FeatureNet,
    Generator,
    Net,
    Oracle,
    Seeds,
    Source,
)
from invspec.spec.labels import Coords, Label, Labels, Scalar, Section
from invspec.spec.layouts import Against, FigureKind, Layout, Names
from invspec.spec.numbers import Compare, Operation, Pick, Reduction, Trend

__all__ = [
    "Against",
    "Bound",
    "Claim",
    "Compare",
    "Coords",
    "Entry",
    "FeatureNet",
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


class TrainLine(Section):
    """Every combination of these labels is trained.

    Models that make images are generators: each is trained against all nets under the attacks that
    name it, and has no measures. `measures` restricts what is measured on the trained models
    (default: all measures).
    """

    dataset: Labels = Field(description="label of a data set, or several")
    model: Labels = Field(description="label of a model, or several")
    defence: Labels = Field(description="label of a defence, or several")
    measures: Labels | None = Field(
        default=None, description="labels of what is measured; default: all measures"
    )


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
    title: Annotated[str, Field(min_length=1, max_length=200, description="title of the report")]
    paper: str | None = Field(default=None, description="key of the paper in papers.yaml")
    seeds: Seeds = Field(
        default=(0,), description="seeds of the trainings; {paired: [...]} pairs nets seed by seed"
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        default="float32", description="precision in which attacks search; all judge in float32"
    )
    datasets: Entries
    models: Entries
    defences: Entries
    attacks: Entries
    measures: Entries
    train: tuple[TrainLine, ...] = Field(
        min_length=1, description="combinations of a data set, a model and a defence"
    )
    checks: Checks = Field(
        default=None,
        description="none, or checks of nets and attacks; default: all that ship with invspec",
    )
    claims: tuple[Claim, ...] = Field(default=(), description="statements of the paper, as bounds")
    report: tuple[Layout, ...] = Field(default=(), description="tables and figures")
    names: Names = Field(
        default={}, description="what tables and figures call measures, coordinates and values"
    )
    scales: dict[Label, dict[str, Any]] = Field(
        default={}, description="name: {dotted path: value}; --scale name applies these values"
    )
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
