"""The values that travel between data sets, attacks, measures and reports."""

from invspec.data.attacked import (
    JUDGED,
    PAIRED,
    Examples,
    Judged,
    JudgedPairs,
    PathPromise,
    Perturbed,
    Sliced,
    judged_from,
    rows_of,
)
from invspec.data.journal import Curves, Journal
from invspec.data.pictures import ClassMatrix, ImageGrid, Matrix, Picture, Regions
from invspec.data.scored import Interval, Outcomes, Row, Scored
from invspec.data.splits import Batch, IndexedSplit, Split, TensorSplit

__all__ = [
    "JUDGED",
    "PAIRED",
    "Batch",
    "ClassMatrix",
    "Curves",
    "Examples",
    "ImageGrid",
    "IndexedSplit",
    "Interval",
    "Journal",
    "Judged",
    "JudgedPairs",
    "Matrix",
    "Outcomes",
    "PathPromise",
    "Perturbed",
    "Picture",
    "Regions",
    "Row",
    "Scored",
    "Sliced",
    "Split",
    "TensorSplit",
    "judged_from",
    "rows_of",
]
