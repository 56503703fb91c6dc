"""Layouts of tables and figures as their author writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

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


class Against(Section):
    """The second measure of a plane, with one cell for each cell of the layout."""

    of: str
    at: Coords = Field(default={})


class Layout(Section):
    """One table of one measure, and a figure of it.

    rows and columns name the coordinates that run down and across. figure is one of:
    profile: a line with its interval for each row, a panel for each value of the first row
    coordinate.
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

    legend is the legend entry of a line, in which {name} is replaced by a coordinate of its row:
    "{rotations.max_degrees}/0".

    published are the paper's numbers for the cells of the table.
    """

    of: str
    title: str | None = None
    at: Coords = Field(default={})
    rows: Labels | None = None
    columns: str | None = None
    figure: FigureKind = "profile"
    legend: str | None = None
    against: Against | None = None
    published: PublishedTable | None = None

    @model_validator(mode="after")
    def _only_a_plane_has_a_second_measure(self) -> Self:
        if self.figure == "plane" and self.against is None:
            raise ValueError("expected against, the second measure of a plane, found none")
        if self.figure != "plane" and self.against is not None:
            raise ValueError(f"expected figure: plane with against, found {self.figure}")
        return self
