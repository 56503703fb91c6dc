"""Pictures that a measure keeps for figures.

A score stores the tensors of a picture under the names of its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, Self

from torch import Tensor

# prefix of the tensors that hold the marked points of planes
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
        """The picture that the tensors of a score hold, None where they hold none of this kind."""
        # `in` the mapping itself may read a tensor
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
    """A number for each class of targets (row) and of sources (column): (K, K), NaN for none."""

    matrix: Tensor


@dataclass(frozen=True)
class ImageGrid(Picture):
    """Images (R, S, C, H, W) in R rows and S columns, NaN for none.

    captions (R, S) are the numbers below them, frames (R, S) bool says which are framed. bars
    (R, S, K) are drawn above them, NaN for none. sides (R,) are the numbers beside the rows,
    NaN for none.
    """

    images: Tensor
    captions: Tensor
    frames: Tensor
    bars: Tensor | None = None
    sides: Tensor | None = None


@dataclass(frozen=True)
class Regions(Picture):
    """Planes, with the classes that Q classifiers predict on a grid of points in each.

    regions (P, Q, H, W) uint8 are the classes. The first row of a grid is the lowest, and the
    grid spans -extent to extent, (1,), in both directions. S circles around the middle have
    radii (S,) and known classes, labels (S,); misread (P, Q, S, A) bool says at which of A
    equally spaced angles a classifier is wrong. points are marked places (P, 2) by name.
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
        """The picture that the tensors of a score hold, None where they hold none of this kind."""
        picture = super().read(tensors)
        points = {
            name.removeprefix(POINT): tensors[name] for name in tensors if name.startswith(POINT)
        }
        return None if picture is None else replace(picture, points=points)
