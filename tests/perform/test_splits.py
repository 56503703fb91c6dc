"""Splits are checked against what their data set says without loading."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor

from invspec.data import Batch, LazySplit, TensorSplit
from invspec.datasets.spheres import Spheres
from invspec.errors import InvspecError
from invspec.kinds import Dataset, SplitName
from invspec.ops.types import Bounds, Shape
from invspec.perform import samples, splits

K, N = 4, 40


class Given(Dataset):
    """Any split under any description."""

    held: ClassVar[dict[str, Any]] = {}
    name: str = "right"
    limits: tuple[float, float] = (0.0, 1.0)

    @property
    def shape(self) -> Shape:
        return (1, 3, 5)

    @property
    def classes(self) -> int:
        return K

    @property
    def bounds(self) -> Bounds:
        return self.limits

    def count(self, split: SplitName) -> int:
        return N

    def load(self, split: SplitName) -> Any:
        return self.held[self.name]


X = torch.rand(N, 1, 3, 5, generator=torch.Generator().manual_seed(0))
X[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
Y = torch.arange(N) % K


def split(x: Any = X, y: Any = Y, **named: Any) -> TensorSplit:
    return TensorSplit(x, y, **named)


def read(loaded: Any, **fields: Any) -> Any:
    Given.held["right"] = loaded
    samples.read_split.cache_clear()
    return samples.read_split(cast(Any, Given(**fields)), "test")


@pytest.mark.parametrize(
    "sound",
    [
        split(),
        split((X * 255).to(torch.uint8)),
        split(y=torch.zeros(N, dtype=torch.int64)),
        split(X * 1e-3),
        split(X + 5e-7),
    ],
    ids=["float", "bytes", "one class", "dark", "rounded"],
)
def test_a_split_that_fits_is_read(sound: TensorSplit) -> None:
    assert read(sound) is sound


BAD_LABELS = {
    "one-based": (Y + 1, "labels run from 1 to 4, expected 0 to 3"),
    "ignored -1": (torch.where(Y == 2, -1, Y), r"labels run from -1 to 3.*10 of 40.*\(-1\)"),
    "ignored 255": (torch.where(Y == 2, 255, Y), r"labels run from 0 to 255.*\(255\)"),
    "one too many": (torch.where(torch.arange(N) == 7, K, Y), "labels run from 0 to 4"),
    "int32": (Y.int(), "labels are int32, expected int64"),
    "bytes": (Y.to(torch.uint8), "labels are uint8, expected int64"),
    "float": (Y.float(), "labels are float32, expected int64"),
    "one-hot": (torch.nn.functional.one_hot(Y), r"labels have shape \(40, 4\)"),
}


@pytest.mark.parametrize(("y", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_that_do_not_number_the_classes_are_refused(y: Tensor, message: str) -> None:
    with pytest.raises(InvspecError, match=rf"^data set Given.*, split test: {message}"):
        read(split(y=y))


def with_pixel(value: float) -> Tensor:
    x = X.clone()
    x[5, 0, 1, 1] = value
    return x


BAD_PIXELS = {
    "0 to 255": (X * 255, "pixels run from 0 to 255, expected 0 to 1"),
    "normalised": ((X - 0.5) / 0.25, "pixels run from -2 to 2, expected 0 to 1"),
    "one above": (with_pixel(1.01), "pixels run from 0 to 1.01, expected 0 to 1"),
    "nan": (with_pixel(torch.nan), "pixels of 1 of 40 images are not finite"),
    "infinite": (with_pixel(torch.inf), "pixels of 1 of 40 images are not finite"),
    "int16": ((X * 255).to(torch.int16), "pixels are int16, expected uint8"),
    "float64": (X.double(), "pixels are float64, expected uint8"),
    "float16": (X.half(), "pixels are float16, expected uint8"),
    "channels last": (X.permute(0, 2, 3, 1), "images are 3 x 5 x 1, expected 1 x 3 x 5"),
    "two channels": (X.repeat(1, 2, 1, 1), "images are 2 x 3 x 5, expected 1 x 3 x 5"),
    "transposed": (X.mT, "images are 1 x 5 x 3, expected 1 x 3 x 5"),
    "no channel": (X[:, 0], "images are 3 x 5, expected 1 x 3 x 5"),
    "bytes, channels last": (
        (X * 255).to(torch.uint8).permute(0, 2, 3, 1),
        "images are 3 x 5 x 1, expected 1 x 3 x 5",
    ),
}


@pytest.mark.parametrize(("x", "message"), BAD_PIXELS.values(), ids=BAD_PIXELS)
def test_images_of_another_layout_type_or_range_are_refused(x: Tensor, message: str) -> None:
    with pytest.raises(InvspecError, match=rf"^data set Given.*, split test: {message}"):
        read(split(x))


def test_the_hint_says_what_most_likely_went_wrong() -> None:
    for x, word in ((X * 255, "255"), (X * 4 - 2, "standardises"), (X + 300, "return their range")):
        with pytest.raises(InvspecError) as caught:
            read(split(x))
        assert word in caught.value.hint


def test_bounds_of_the_data_set_must_be_those_of_the_split() -> None:
    centred = X * 2 - 1
    sound = split(centred, bounds=(-1.0, 1.0))
    assert read(sound, limits=(-1.0, 1.0)) is sound
    with pytest.raises(InvspecError, match="the split has bounds 0 to 1, its data set -1 to 1"):
        read(split(centred), limits=(-1.0, 1.0))


def test_pixels_without_bounds_are_within_them() -> None:
    spheres = Spheres(d=5, inner=100, outer=1e4, train=20, test=20)
    assert len(samples.read_split(cast(Any, spheres), "test")) == 20
    splits.require_in_bounds(X * 1e4, (0.0, math.inf))
    with pytest.raises(InvspecError, match="pixels run from -10000 to"):
        splits.require_in_bounds(X * -1e4, (0.0, math.inf))


def test_a_count_that_is_not_that_of_the_split_is_refused() -> None:
    with pytest.raises(InvspecError, match="load gives 30 examples, but count says 40"):
        read(split(X[:30], Y[:30]))


def test_an_index_that_does_not_count_from_0_is_refused() -> None:
    with pytest.raises(InvspecError, match="index must count from 0 to 39"):
        read(split(index=torch.arange(N) + 1))


@pytest.mark.parametrize("loaded", [None, (X, Y), torch.utils.data.TensorDataset(X, Y)])
def test_what_is_no_split_is_refused(loaded: object) -> None:
    with pytest.raises(InvspecError, match=r"Given.load returned .*, expected a Split"):
        read(loaded)


def test_arrays_in_place_of_tensors_are_refused() -> None:
    with pytest.raises(InvspecError, match="pixels of a split is a ndarray, expected a"):
        split(X.numpy())
    with pytest.raises(InvspecError, match="y of a split is a list, expected a"):
        split(y=Y.tolist())


@dataclass(frozen=True)
class Read(LazySplit):
    """Images that are made as they are read, in some way."""

    way: str = "right"
    reads: list[int] = field(default_factory=list[int])

    def labels(self) -> Tensor:
        return self.index % K

    def read(self, chunks: Any) -> Any:
        for positions in chunks:
            index = self.index[positions]
            self.reads.append(len(index))
            x, y = X[index % N], index % K
            match self.way:
                case "augmented":
                    x = x * torch.rand(len(x), 1, 1, 1)
                case "range":
                    x = x * 255
                case "labels":
                    y = y.flip(0)
                case "layout":
                    x = x.permute(0, 2, 3, 1)
                case "float64":
                    x = x.double()
                case _:
                    pass
            yield Batch(x, y, index)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("augmented", "other pixels when they are read again"),
        ("range", "pixels run from 0 to 255"),
        ("labels", r"other labels than labels\(\) gives"),
        ("layout", "images are 3 x 5 x 1"),
        ("float64", "images are float64, expected float32"),
    ],
)
def test_a_split_that_reads_its_images_is_checked_by_some_of_them(way: str, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        read(Read(torch.arange(N), way=way))


def test_few_images_of_a_large_split_are_read() -> None:
    class Large(Given):
        def count(self, split: SplitName) -> int:
            return 10_000

    lazy = Read(torch.arange(10_000))
    Given.held["right"] = lazy
    samples.read_split.cache_clear()
    samples.read_split(cast(Any, Large()), "test")
    assert sum(lazy.reads) <= 500


def test_random_draws_of_a_loader_are_the_same_in_every_process() -> None:
    class Drawn(Given):
        def load(self, split: SplitName) -> TensorSplit:
            return TensorSplit(torch.rand(N, 1, 3, 5), torch.randint(K, (N,)))

    def pixels(split: SplitName) -> Tensor:
        samples.read_split.cache_clear()
        return cast(Any, samples.read_split(cast(Any, Drawn()), split)).pixels

    torch.manual_seed(1)
    first = pixels("test")
    torch.manual_seed(2)
    assert torch.equal(pixels("test"), first)
    assert not torch.equal(pixels("train"), first)


def test_bytes_of_0_and_1_are_refused_since_they_are_black() -> None:
    message = "pixels are uint8 and none is larger than 1, expected 0 to 255"
    with pytest.raises(InvspecError, match=message):
        read(split((X > 0.5).to(torch.uint8)))


@pytest.mark.parametrize(
    ("value", "hint"), {1.01: "clamp them", 2.0: "clamp them", 255.0: "divide them by 255"}.items()
)
def test_the_hint_on_large_pixels_depends_on_how_large_they_are(value: float, hint: str) -> None:
    with pytest.raises(InvspecError) as refusal:
        read(split(with_pixel(value)))
    assert refusal.value.hint.startswith(hint)
