"""Values passed between data sets, attacks, measures and reports."""

from invspec.data.attacked import (
    COSTS,
    GENERATOR_OPERATIONS,
    JUDGED,
    PAIRED,
    WALKED,
    Examples,
    Judged,
    JudgedPairs,
    PathPromise,
    Perturbed,
    Sliced,
    judged_from,
    rows_of,
)
from invspec.data.finding import Finding
from invspec.data.journal import Curves, Journal
from invspec.data.pictures import ClassMatrix, ImageGrid, Matrix, Picture, Regions
from invspec.data.scored import Interval, Outcomes, Row, Scored
from invspec.data.splits import Batch, IndexedSplit, LazySplit, Split, TensorSplit
from invspec.ops.types import Bounds, Range, Shape

__all__ = [
    "COSTS",
    "GENERATOR_OPERATIONS",
    "JUDGED",
    "PAIRED",
    "WALKED",
    "Batch",
    "Bounds",
    "ClassMatrix",
    "Curves",
    "Examples",
    "Finding",
    "ImageGrid",
    "IndexedSplit",
    "Interval",
    "Journal",
    "Judged",
    "JudgedPairs",
    "LazySplit",
    "Matrix",
    "Outcomes",
    "PathPromise",
    "Perturbed",
    "Picture",
    "Range",
    "Regions",
    "Row",
    "Scored",
    "Shape",
    "Sliced",
    "Split",
    "TensorSplit",
    "judged_from",
    "rows_of",
]
