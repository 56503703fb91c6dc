"""Layouts of tables and figures as their author writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from invspec.spec.labels import Coords, Labels, Section
from invspec.spec.published import PublishedTable

FigureKind = Literal[
    "profile", "beside", "band", "matrix", "images", "regions", "heatmap", "plane", "none"
]

# What a score must store for these figures, in words.
PICTURES: Mapping[FigureKind, str] = {
    "heatmap": "matrix",
    "matrix": "matrix of target classes by source classes",
    "images": "images",
    "regions": "regions of planes",
}


# the word for `columns` where nothing runs across
NO_COLUMNS = "none"
MAX_DECIMALS = 6

Names = Mapping[str, Annotated[str, Field(min_length=1, max_length=80)]]
Best = Literal["highest", "lowest"]


class Against(Section):
    """The second measure of a plane, with one cell for each cell of the layout."""

    of: str
    at: Coords = Field(default={})


class Layout(Section):
    """One table, of one measure or of several side by side, and a figure of it.

    rows and columns name the coordinates that run down and across; `columns: none` says that all
    run down. Several measures have the same rows, and each has a column, or one for each value of
    the coordinate among `columns` that it has; `at` fixes what a measure has of it.

    figure is one of:
    profile: a line with its interval for each row, a panel for each value of the first row
    coordinate, or for each measure.
    beside: the same, as another panel in the figure of the previous layout.
    band: from the lowest to the highest value of the last row coordinate; a band for each value of
    the row coordinate before it, a panel for each combination of the others. Columns are numbers.
    plane: a point for each row, this measure on the x axis and that of `against` on the y axis.
    matrix: for each score with a `matrix`, a panel of target classes by source classes, with
    numbers in its cells.
    images: for each score with `images`, a grid of them with confidences below, originals framed.
    Its columns are source classes or, for scores with several rows, the coordinate of these rows.
    regions: for each plane in `regions`, a row of panels, one per classifier: the class predicted
    at each point, and circles on which the true class is known.
    heatmap: the first matrix of any kind that a score has.
    none: the table alone.
    Default: a profile of one measure, none of several.

    legend is the legend entry of a line, in which {name} is replaced by a coordinate of its row:
    "{rotations.max_degrees}/0".

    names are what tables and figures call measures, coordinates and values: {gcnn: GCNN}. percent
    shows shares in per cent, decimals says with how many digits after the point, and best prints in
    bold the highest or lowest number of a column and all that are within its interval.

    published are the paper's numbers for the cells of the table.
    """

    of: Labels
    title: str | None = None
    at: Coords = Field(default={})
    rows: Labels | None = None
    columns: Labels | None = None
    figure: FigureKind | None = None
    legend: str | None = None
    names: Names = Field(default={})
    percent: Annotated[bool, Field(strict=True)] = False
    decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS, strict=True)] | None = None
    best: Best | dict[str, Best] | None = None
    against: Against | None = None
    published: PublishedTable | None = None

    @property
    def measure(self) -> str:
        """The measure of a layout that has one, or the first of several."""
        return self.of[0]

    @property
    def drawn(self) -> FigureKind:
        """The kind of its figure."""
        return self.figure or ("profile" if len(self.of) == 1 else "none")

    @model_validator(mode="after")
    def _measures_are_distinct(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"expected distinct measures, found {', '.join(self.of)}")
        return self

    @model_validator(mode="after")
    def _only_a_plane_has_a_second_measure(self) -> Self:
        if self.figure == "plane" and self.against is None:
            raise ValueError("expected against, the second measure of a plane, found none")
        if self.figure != "plane" and self.against is not None:
            found = self.figure or "no figure"
            raise ValueError(f"expected figure: plane with against, found {found}")
        return self

    @model_validator(mode="after")
    def _several_measures_have_no_figure_of_one(self) -> Self:
        if len(self.of) == 1:
            return self
        if self.drawn not in ("none", "profile"):
            raise ValueError(f"expected profile or none for several measures, found {self.figure}")
        if self.published is not None:
            raise ValueError("expected one measure with published numbers, found several")
        return self
