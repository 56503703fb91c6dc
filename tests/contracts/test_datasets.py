"""What every data set promises."""

import os
from functools import cache
from pathlib import Path

import pytest
import torch
from dataset_cards import SPLITS, complete, made

from invspec.data import Split
from invspec.errors import InvspecError
from invspec.kinds import SplitName
from invspec.registry import cards

each_card = pytest.mark.parametrize(
    "name", [name for name in cards.names("dataset") if complete(name)]
)
each_split = pytest.mark.parametrize("split", SPLITS)


@cache
def loaded(name: str, split: SplitName) -> Split:
    """The split; skipped where INVSPEC_DATA is unset, or names a folder without the files of this
    data set.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "INVSPEC_DATA" not in os.environ:
            patch.setenv("INVSPEC_DATA", str(Path(__file__).parent / "no-such-folder"))
        try:
            return made(name).load(split)
        except InvspecError as problem:
            if "No such file" not in problem.message:
                raise
            pytest.skip(problem.message)


@each_card
@each_split
def test_what_it_says_without_loading_is_what_it_loads(name: str, split: SplitName) -> None:
    dataset, data = made(name), loaded(name, split)
    assert len(data) == dataset.count(split) == len(data.labels())
    assert data.bounds == dataset.bounds
    batch = next(data.batches(4))
    assert batch.x.shape == (4, *dataset.shape)
    assert batch.x.dtype == torch.float32
    assert batch.index.tolist() == [0, 1, 2, 3]


@each_card
@each_split
def test_pixels_are_within_the_bounds(name: str, split: SplitName) -> None:
    low, high = made(name).bounds
    for batch in loaded(name, split).head(400).batches(100):
        assert batch.x.isfinite().all()
        assert low <= batch.x.min() <= batch.x.max() <= high


@each_card
@each_split
def test_labels_are_all_the_classes(name: str, split: SplitName) -> None:
    labels = loaded(name, split).labels()
    assert labels.dtype == torch.int64
    assert labels.unique().tolist() == list(range(made(name).classes))


@each_card
def test_loading_again_gives_the_same(name: str) -> None:
    first = loaded(name, "val")
    again = made(name).load("val")
    for one, other in zip(first.head(300).batches(100), again.head(300).batches(100), strict=True):
        assert one.x.equal(other.x)
        assert one.y.equal(other.y)


@each_card
def test_no_image_is_in_two_splits(name: str) -> None:
    if name == "imagenet_sample":
        pytest.skip(
            "one photo of each class is all there is: it tries the road, and measures nothing"
        )

    def images(split: SplitName) -> set[bytes]:
        return {
            row.numpy().tobytes()
            for batch in loaded(name, split).head(1000).batches(500)
            for row in batch.x
        }

    assert not images("train") & images("test")
    assert not images("train") & images("val")


@each_card
def test_a_head_of_ten_times_the_classes_holds_every_class(name: str) -> None:
    classes = made(name).classes
    assert len(loaded(name, "test").head(10 * classes).labels().unique()) == classes
