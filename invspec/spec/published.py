"""Numbers of a paper, and what is known of their sampling error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Self, cast

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from invspec.errors import SpecError, SpecErrors
from invspec.kinds import Number
from invspec.registry import messages
from invspec.spec.labels import Coords, Labels, Section
from invspec.spec.reader import Steps

Count = Annotated[int, Field(ge=1, strict=True)]
Several = Annotated[int, Field(ge=2, strict=True)]


class Published(Section):
    """A number of a paper.

    n is the number of test examples behind a share, sd the standard deviation between `seeds`
    trainings. With neither, the number counts as exact.
    """

    value: Number
    n: Count | None = None
    sd: Annotated[Number, Field(ge=0)] | None = None
    seeds: Several | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _error_is_known(self) -> Self:
        if (self.sd is None) != (self.seeds is None):
            alone = "sd" if self.seeds is None else "seeds"
            raise ValueError(f"expected sd and seeds together, found {alone} alone")
        if self.n is not None and not 0 <= self.value <= 1:
            message = f"n gives the sampling error of a share in [0, 1], found {self.value:g}"
            hint = "give sd and seeds instead of n"
            raise messages.NestedError(SpecError(message, hint=hint, path=("n",)))
        return self

    @property
    def error_of_examples(self) -> float:
        """The standard error that its test examples give it; half an example is added each way."""
        if self.n is None:
            return 0.0
        share = (self.value * self.n + 0.5) / (self.n + 1)
        return math.sqrt(share * (1 - share) / self.n)

    @property
    def error_of_trainings(self) -> float:
        """The standard error that its trainings give it."""
        return self.sd / math.sqrt(self.seeds) if self.sd is not None and self.seeds else 0.0


def _number(value: Any) -> Any:
    """A plain number is one of unknown error."""
    return value if isinstance(value, dict | Published) else {"value": value}


PaperNumber = Annotated[Published, BeforeValidator(_number)]


class PublishedCell(Published):
    """The paper's number for the cell at some coordinates."""

    at: Coords


class PublishedTable(Section):
    """A paper's numbers for the cells of a layout.

    cells lists them with their coordinates. values nests them instead, by the values of the
    coordinates that `by` names: {cifar_at: {0.03: 0.451}}. n, sd, seeds and source apply to all
    cells that do not have their own. A cell agrees if the interval of its difference reaches
    `within` of 0.
    """

    n: Count | None = None
    sd: Annotated[Number, Field(ge=0)] | None = None
    seeds: Several | None = None
    source: str | None = None
    within: Annotated[Number, Field(ge=0)] = 0.0
    cells: tuple[PublishedCell, ...] = ()
    by: Labels | None = None
    values: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _share(cls, value: Any) -> Any:
        """Give every listed cell what applies to all of them."""
        if not isinstance(value, dict):
            return value
        keys = cast(dict[str, Any], value)
        cells = keys.get("cells")
        if not isinstance(cells, list):
            return keys
        return {**keys, "cells": [_with(_shared(keys), cell) for cell in cast(list[Any], cells)]}

    @model_validator(mode="after")
    def _has_cells(self) -> Self:
        if (self.by is None) != (self.values is None):
            alone = "by" if self.values is None else "values"
            raise ValueError(f"expected by and values together, found {alone} alone")
        if not self.written_out:
            raise ValueError("expected cells, or values by coordinates, found none")
        return self

    @property
    def written_out(self) -> dict[Steps, PublishedCell]:
        """All cells by their path in the table, with what applies to all of them."""
        listed: dict[Steps, PublishedCell] = {
            ("cells", place): cell for place, cell in enumerate(self.cells)
        }
        if not self.by:
            return listed
        written = {name: getattr(self, name) for name in self.model_fields_set}
        return listed | dict(_nested(self.values, self.by, _shared(written), {}, ("values",)))


def _shared(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys of a table that apply to its cells."""
    return {name: keys[name] for name in ("n", "sd", "seeds", "source") if name in keys}


def _with(shared: dict[str, Any], cell: Any) -> Any:
    return {**shared, **cast(dict[str, Any], cell)} if isinstance(cell, dict) else cell


def _nested(
    values: Any, by: tuple[str, ...], shared: dict[str, Any], at: Coords, path: Steps
) -> Iterator[tuple[Steps, PublishedCell]]:
    """The numbers in nested values, with the coordinates that lead to them."""
    if not by:
        number = values if isinstance(values, dict) else {"value": values}
        yield path, _cell({**_with(shared, number), "at": at}, path)
        return
    if not isinstance(values, dict):
        message = f"expected keys for the values of {by[0]}, found {messages.shown(values)}"
        raise messages.NestedError(SpecError(message, path=path))
    for key, inner in cast(dict[str, Any], values).items():
        yield from _nested(inner, by[1:], shared, {**at, by[0]: key}, (*path, key))


def _cell(keys: dict[str, Any], path: Steps) -> PublishedCell:
    try:
        return PublishedCell.model_validate(keys)
    except ValidationError as problem:
        errors = [error.within(*path) for error in messages.explain(problem, PublishedCell, keys)]
    raise messages.NestedError(SpecErrors(errors))
