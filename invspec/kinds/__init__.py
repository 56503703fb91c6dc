"""The six kinds of method, types of their fields, and what they may require of a model.

Users' own methods import from here, so these names stay. It does not import torch, so that a spec
can be read and refused quickly.
"""

from invspec.kinds.attack import Attack
from invspec.kinds.check import Check
from invspec.kinds.dataset import Dataset, SplitName
from invspec.kinds.defence import Defence, FeatureTraining, GeneratorTraining
from invspec.kinds.measure import Measure
from invspec.kinds.method import Method, outline, plain
from invspec.kinds.model import Model
from invspec.kinds.numbers import Confidence, Degrees, Number, Pixels
from invspec.kinds.precision import HasPrecision, Precision
from invspec.kinds.protocols import (
    BATCHED,
    ENCODERS,
    Bijective,
    Calibrated,
    Centred,
    EndsInMap,
    Penalised,
    Standardised,
    TwoLayer,
)
from invspec.kinds.sample import Sample, Targets
from invspec.kinds.units import Unit
from invspec.ops.types import (
    MAGNITUDES,
    REALS,
    SHARE_DIFFERENCES,
    SHARES,
    Bounds,
    Norm,
    Range,
    Shape,
)

__all__ = [
    "BATCHED",
    "ENCODERS",
    "MAGNITUDES",
    "REALS",
    "SHARES",
    "SHARE_DIFFERENCES",
    "Attack",
    "Bijective",
    "Bounds",
    "Calibrated",
    "Centred",
    "Check",
    "Confidence",
    "Dataset",
    "Defence",
    "Degrees",
    "EndsInMap",
    "FeatureTraining",
    "GeneratorTraining",
    "HasPrecision",
    "Measure",
    "Method",
    "Model",
    "Norm",
    "Number",
    "Penalised",
    "Pixels",
    "Precision",
    "Range",
    "Sample",
    "Shape",
    "SplitName",
    "Standardised",
    "Targets",
    "TwoLayer",
    "Unit",
    "outline",
    "plain",
]
