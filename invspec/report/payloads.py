"""What scores keep for figures beyond their numbers: matrices, images with what is beside them, regions of planes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invspec.analysis.readings import Group, Reading, Store
from invspec.errors import SpecError
from invspec.perform.runtime import Artifact
from invspec.spec.schema import FigureKind, Scalar

Array = NDArray[Any]


WANTED: dict[FigureKind, str] = {
    "heatmap": "matrix",
    "matrix": "matrix of target classes by source classes",
    "images": "images",
    "regions": "regions of planes",
}


@dataclass(frozen=True)
class Picture:
    """One panel: a matrix (R, C), NaN where it has no value, or images (R, C, channels, H, W), NaN where there is none.

    captions (R, C) are numbers to stand below images, frames (R, C) bool says which images are framed, bars (R, C, K)
    are drawn above images, NaN where there are none. headings stand above the columns and sides beside the rows,
    instead of class numbers.
    """

    values: Array
    captions: Array | None = None
    frames: Array | None = None
    bars: Array | None = None
    headings: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Regions(Picture):
    """Planes: values (P, Q, H, W), the class that each of Q classifiers, told by headings, gives to points of a grid.

    Its first row is the lowest, and it goes from -extent to extent both ways. On circles around the middle, of these
    names and radii (S,), classes are known, labels (S,); misread (P, Q, S, A) bool says at which of A equally spaced
    angles each classifier takes another. points are what is marked, places (P, 2) by name.
    """

    extent: float = 1.0
    circles: tuple[str, ...] = ()
    radii: tuple[float, ...] = ()
    labels: tuple[int, ...] = ()
    misread: Array = field(default_factory=lambda: np.zeros((0, 0, 0, 0), dtype=bool))
    points: Mapping[str, Array] = field(default_factory=dict[str, Array])


def pictures(
    kind: FigureKind, groups: Sequence[Group], names: Sequence[str], store: Store
) -> dict[tuple[Scalar | None, ...], Picture]:
    """What each score kept, by what tells scores apart among the coordinates names.

    Of several seeds a matrix is the mean; of the others, images and regions, only the first can be shown. Raises
    SpecError where a score keeps nothing of the kind.
    """
    found: dict[tuple[Scalar | None, ...], Picture] = {}
    for group in groups:
        if kind not in WANTED or not group.present:
            continue
        cell = group.present[0].cell
        labels = tuple(cell.coords.get(name) for name in names if name in cell.coords)
        if labels not in found:
            found[labels] = _picture(kind, group.present, store)
    return found


def _picture(kind: FigureKind, readings: Sequence[Reading], store: Store) -> Picture:
    first = store.load(readings[0].cell.goal)
    match kind:
        case "matrix" if "matrix" in first.tensors:
            return Picture(mean([_array(store.load(one.cell.goal), "matrix") for one in readings]))
        case "images" if "images" in first.tensors:
            return _images(first)
        case "regions" if "regions" in first.tensors:
            return _regions(first)
        case "heatmap" if square := [
            name for name, tensor in first.tensors.items() if tensor.ndim == 2
        ]:
            return Picture(_array(first, square[0]))
        case _:
            raise SpecError(
                f"{readings[0].coords['measure']} keeps no {WANTED[kind]}", path=("figure",)
            )


def _images(score: Artifact) -> Picture:
    kept = {
        name: _array(score, name)
        for name in ("captions", "frames", "bars")
        if name in score.tensors
    }
    images = _array(score, "images")
    return Picture(
        images, **kept, headings=_headings(score, columns=images.shape[1]), sides=_sides(score)
    )


def _sides(score: Artifact) -> tuple[str, ...]:
    """The numbers beside the rows of images, if there are any; nothing for NaN."""
    numbers: list[float] = score.tensors["sides"].tolist() if "sides" in score.tensors else []
    return tuple("" if math.isnan(number) else f"{number:g}" for number in numbers)


def _regions(score: Artifact) -> Regions:
    wheres = [
        tuple(map(str, row.where.values())) for row in score.rows or ()
    ]  # classifier and circle
    headings, circles = (tuple(dict.fromkeys(names)) for names in zip(*wheres, strict=True))
    mark = "point_"
    return Regions(
        _array(score, "regions"),
        headings=headings,
        circles=circles,
        extent=score.tensors["extent"].item(),
        radii=tuple(score.tensors["radii"].tolist()),
        labels=tuple(score.tensors["labels"].tolist()),
        misread=_array(score, "misread"),
        points={
            name.removeprefix(mark): _array(score, name)
            for name in score.tensors
            if name.startswith(mark)
        },
    )


def _headings(score: Artifact, columns: int) -> tuple[str, ...]:
    """What tells the rows of a score apart, where it has one for each column of its images."""
    wheres: list[Mapping[str, str | float]] = [row.where for row in score.rows or ()]
    told = tuple(str(value) for where in wheres for value in where.values())
    return told if len(told) == len(wheres) == columns else ()


def _array(score: Artifact, name: str) -> Array:
    return score.tensors[name].numpy()


def mean(matrices: Sequence[Array]) -> Array:
    """The mean of matrices (R, C) at each place, over those that have a value there."""
    stacked = np.stack(matrices)
    there = ~np.isnan(stacked)
    total, count = np.where(there, stacked, 0).sum(axis=0), there.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
