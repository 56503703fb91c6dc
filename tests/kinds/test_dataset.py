"""What every data set has without further code: bounds, and a stand-in for smoke runs."""

from __future__ import annotations

import math

from invspec.data import Split
from invspec.kinds import Bounds, Dataset, Shape, SplitName
from invspec.registry.methods import make


class Pictures(Dataset):
    """Pictures of two pixels and five classes."""

    @property
    def shape(self) -> Shape:
        return (1, 1, 2)

    @property
    def classes(self) -> int:
        return 5

    def count(self, split: SplitName) -> int:
        return 3

    def load(self, split: SplitName) -> Split:
        raise AssertionError("a stand-in is made without loading")


class Points(Pictures):
    """Points that are unbounded above."""

    least: float = 0.0

    @property
    def bounds(self) -> Bounds:
        return (self.least, math.inf)


def test_images_have_bounds_0_and_1_unless_a_data_set_says_otherwise() -> None:
    assert Pictures().bounds == (0.0, 1.0)


def test_the_stand_in_has_the_same_shape_classes_and_bounds() -> None:
    for data in (Points(least=-2.5), Pictures()):
        stand_in = make("dataset", *data.stand_in)
        assert isinstance(stand_in, Dataset)
        assert (stand_in.shape, stand_in.classes) == (data.shape, data.classes)
        assert stand_in.bounds == data.bounds
        assert stand_in.count("train") == 128
