"""Pictures that a measure stores for figures.

A score stores the tensors of a picture under the names of its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, Self

from torch import Tensor

# prefix of the names of tensors with the marked points of planes
POINT = "point_"


@dataclass(frozen=True)
class Picture:
    """Base class of pictures, whose fields are tensors."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that a score stores, by name."""
        named = {column.name: getattr(self, column.name) for column in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, Tensor)}

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Read the picture from the tensors of a score; None if they contain none of this kind."""
        # `name in tensors` may read a tensor
        names, known = set(tensors), [column for column in fields(cls) if column.init]
        required = {column.name for column in known if _is_required(column)}
        if not required <= names:
            return None
        return cls(
            **{column.name: tensors[column.name] for column in known if column.name in names}
        )


def _is_required(column: Field[Any]) -> bool:
    return column.default is MISSING and column.default_factory is MISSING


@dataclass(frozen=True)
class Matrix(Picture):
    """A matrix (R, C) for a heatmap."""

    values: Tensor


@dataclass(frozen=True)
class ClassMatrix(Picture):
    """A number for each target class (row) and source class (column): (K, K), NaN if missing."""

    matrix: Tensor


@dataclass(frozen=True)
class ImageGrid(Picture):
    """Images (R, S, C, H, W) in R rows and S columns; NaN leaves a place empty.

    captions (R, S) are the numbers below the images, and frames (R, S) bool says which images have
    a frame. bars (R, S, K) are drawn above the images, and sides (R,) are the numbers beside the
    rows; NaN draws none.
    """

    images: Tensor
    captions: Tensor
    frames: Tensor
    bars: Tensor | None = None
    sides: Tensor | None = None


@dataclass(frozen=True)
class Regions(Picture):
    """The classes that Q classifiers predict on a grid of points in each of P planes.

    regions (P, Q, H, W) uint8 are the classes. The first row of a grid is the lowest, and the
    grid spans -extent to extent, (1,), in both directions. S circles around the centre have
    radii (S,) and known classes, labels (S,); misread (P, Q, S, A) bool says at which of A
    equally spaced angles a classifier is wrong. points are marked points (P, 2) by name.
    """

    regions: Tensor
    extent: Tensor
    radii: Tensor
    labels: Tensor
    misread: Tensor
    points: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that a score stores, by name."""
        points = {POINT + name: places for name, places in self.points.items()}
        return super().tensors() | points

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Read the picture from the tensors of a score; None if they contain none of this kind."""
        picture = super().read(tensors)
        points = {
            name.removeprefix(POINT): tensors[name] for name in tensors if name.startswith(POINT)
        }
        return None if picture is None else replace(picture, points=points)
