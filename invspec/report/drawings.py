"""Pictures stored by scores, as arrays for figures: matrices, image grids and regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invspec import data
from invspec.analysis.readings import Artifacts, Group, Reading
from invspec.data import ClassMatrix, ImageGrid, Matrix
from invspec.errors import SpecError
from invspec.perform.runtime import Artifact
from invspec.spec.layouts import PICTURES
from invspec.spec.schema import FigureKind, Scalar

Array = NDArray[Any]


@dataclass(frozen=True)
class Drawing:
    """The picture of one score as arrays: a matrix or a grid of images.

    values is a matrix (R, C) or images (R, C, channels, H, W), NaN where one is missing. For
    images: captions (R, C) are the numbers below them, frames (R, C) bool says which are framed,
    bars (R, C, K) are drawn above them, NaN where there are none. headings label the columns and
    sides the rows; without them the labels are class numbers. coords are those of its score.
    """

    values: Array
    captions: Array | None = None
    frames: Array | None = None
    bars: Array | None = None
    headings: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    coords: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])


@dataclass(frozen=True)
class RegionDrawing(Drawing):
    """Planes: values (P, Q, H, W) are the classes that Q classifiers predict on a grid of points.

    The first row of a grid is the lowest; it spans -extent to extent in both directions. headings
    are the names of the classifiers. S circles around the middle have a name, a radius and a known
    class (circles, radii, labels); misread (P, Q, S, A) bool says at which of A equally spaced
    angles a classifier is wrong. points are marked places (P, 2) by name.
    """

    extent: float = 1.0
    circles: tuple[str, ...] = ()
    radii: tuple[float, ...] = ()
    labels: tuple[int, ...] = ()
    misread: Array = field(default_factory=lambda: np.zeros((0, 0, 0, 0), dtype=bool))
    points: Mapping[str, Array] = field(default_factory=dict[str, Array])


def collect_drawings(
    kind: FigureKind, groups: Sequence[Group], names: Sequence[str], store: Artifacts
) -> dict[tuple[Scalar | None, ...], Drawing]:
    """The drawing of each score, keyed by its cell's values of the coordinates in names.

    Matrices are averaged over seeds; images and regions are those of the first seed.

    Raises: SpecError if a score stores no picture of this kind.
    """
    by_labels: dict[tuple[Scalar | None, ...], Drawing] = {}
    for group in groups:
        if kind not in PICTURES or not group.present:
            continue
        cell = group.present[0].cell
        at = {name: cell.coords[name] for name in names if name in cell.coords}
        labels = tuple(at.values())
        if labels not in by_labels:
            by_labels[labels] = replace(_drawing(kind, group.present, store), coords=at)
    return by_labels


def _drawing(kind: FigureKind, readings: Sequence[Reading], store: Artifacts) -> Drawing:
    first = store.load(readings[0].cell.goal)
    match kind:
        case "matrix" if ClassMatrix.read(first.tensors):
            scores = (store.load(reading.cell.goal) for reading in readings)
            matrices = (ClassMatrix.read(score.tensors) for score in scores)
            return Drawing(mean([matrix.matrix.numpy() for matrix in matrices if matrix]))
        case "images" if grid := ImageGrid.read(first.tensors):
            return _images(grid, first)
        case "regions" if regions := data.Regions.read(first.tensors):
            return _regions(regions, first)
        case "heatmap" if matrix := Matrix.read(first.tensors):
            return Drawing(matrix.values.numpy())
        case "heatmap" if classes := ClassMatrix.read(first.tensors):
            return Drawing(classes.matrix.numpy())
        case _:
            measure = readings[0].coords["measure"]
            hint = "figure: none shows the table alone"
            raise SpecError(f"{measure} stores no {PICTURES[kind]}", hint=hint, path=("figure",))


def _images(grid: ImageGrid, score: Artifact) -> Drawing:
    sides: list[float] = [] if grid.sides is None else grid.sides.tolist()
    return Drawing(
        grid.images.numpy(),
        captions=grid.captions.numpy(),
        frames=grid.frames.numpy(),
        bars=None if grid.bars is None else grid.bars.numpy(),
        headings=_headings(score, columns=grid.images.shape[1]),
        sides=tuple("" if math.isnan(number) else f"{number:g}" for number in sides),
    )


def _headings(score: Artifact, columns: int) -> tuple[str, ...]:
    """The coordinates of a score's rows if there is one per column of its images, else ()."""
    rows = score.rows or ()
    values = tuple(str(value) for row in rows for value in row.where.values())
    return values if len(values) == len(rows) == columns else ()


def _regions(planes: data.Regions, score: Artifact) -> RegionDrawing:
    # The rows of such a score have two coordinates: classifier and circle.
    pairs = [tuple(map(str, row.where.values())) for row in score.rows or ()]
    headings, circles = (tuple(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    return RegionDrawing(
        planes.regions.numpy(),
        headings=headings,
        circles=circles,
        extent=planes.extent.item(),
        radii=tuple(planes.radii.tolist()),
        labels=tuple(planes.labels.tolist()),
        misread=planes.misread.numpy(),
        points={name: places.numpy() for name, places in planes.points.items()},
    )


def mean(matrices: Sequence[Array]) -> Array:
    """The mean of matrices (R, C) at each entry, ignoring NaN."""
    stacked = np.stack(matrices)
    present = ~np.isnan(stacked)
    total, count = np.where(present, stacked, 0).sum(axis=0), present.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
