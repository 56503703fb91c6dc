"""Splits, batches and the results of attacks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_splits import split_of

from invspec.data import TensorSplit
from invspec.errors import InvspecError
from invspec.ops.draws import Stream


def read(batches):
    """x, y and index of all batches, concatenated."""
    found = list(batches)
    return tuple(
        torch.cat([getattr(batch, name) for batch in found]) for name in ("x", "y", "index")
    )


def test_bytes_are_scaled_to_0_to_1_and_floats_are_unchanged():
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    y = torch.zeros(3, dtype=torch.int64)
    assert read(TensorSplit(pixels, y).batches(3))[0].flatten().tolist() == pytest.approx(
        [0, 0.2, 1]
    )
    points = torch.tensor([-3.0, 0.5, 7.0]).view(3, 1, 1, 1)
    (batch,) = TensorSplit(points, y, bounds=(-9.0, 9.0)).batches(3)
    assert torch.equal(batch.x, points)
    assert batch.bounds == (-9.0, 9.0)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_batches_have_every_example_once(n, size, shuffled):
    batches = list(split_of(n).batches(size, Stream("order") if shuffled else None))
    x, y, index = read(batches)
    assert sorted(index.tolist()) == list(range(n))
    assert torch.equal(x.flatten(), index / 255)
    assert torch.equal(y, index % 3)
    assert [len(batch) for batch in batches] == [size] * (n // size) + [n % size] * (n % size > 0)


def test_the_order_depends_only_on_the_stream():
    def order(key):
        return read(split_of(50).batches(7, Stream(key)))[2].tolist()

    assert order("a") == order("a")
    assert order("a") != order("b")
    assert read(split_of(50).batches(7))[2].tolist() == list(range(50))


@given(st.data())
def test_examples_keep_their_index_however_they_are_cut(data):
    n = data.draw(st.integers(2, 30))
    rows = torch.tensor(
        data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    )
    cut = split_of(n).take(rows)
    again = cut.head(data.draw(st.integers(1, n)))
    x, _, index = read(again.batches(4))
    assert torch.equal(index, rows[: len(again)])
    assert torch.equal(x.flatten(), index / 255)
    assert torch.equal(again.labels(), index % 3)


def test_a_head_is_never_longer_than_the_split():
    assert len(split_of(3).head(10)) == 3


def test_a_split_on_another_device_keeps_its_index_on_the_cpu():
    there = split_of(5).to("meta")
    assert (there.pixels.device.type, there.y.device.type, there.index.device.type) == (
        "meta",
        "meta",
        "cpu",
    )


def test_the_numbers_of_images_and_labels_must_agree():
    with pytest.raises(InvspecError, match="2 images and 3 labels"):
        TensorSplit(torch.zeros(2, 1, 1, 1), torch.zeros(3))


def test_an_empty_split_has_an_empty_index():
    nothing = split_of(5).take(torch.arange(0))
    assert (len(nothing), nothing.index.tolist()) == (0, [])


@pytest.mark.parametrize(
    "rows", [torch.tensor([2, 0]), torch.tensor([True, False, True, False])], ids=str
)
def test_a_batch_is_cut_by_positions_or_by_a_mask(rows):
    (whole,) = split_of(4).batches(4)
    taken = whole.take(rows)
    expected = torch.arange(4)[rows]
    assert torch.equal(taken.index, expected)
    assert torch.equal(taken.x.flatten(), expected / 255)
    assert (len(taken), taken.bounds) == (2, whole.bounds)
