"""Streamed splits: the decoded pixels in order, few of them ahead, and errors where they arise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from photos import photo

from invspec.data import Batch, TensorSplit
from invspec.errors import InvspecError
from invspec.files import streaming
from invspec.files.decoding import decoded
from invspec.files.listing import listing
from invspec.files.streaming import BATCHES_AHEAD, StreamedSplit

SIZE, RESIZE, IMAGES = 6, 8, 14


@pytest.fixture
def split(tmp_path: Path) -> StreamedSplit:
    """Two classes of seven images."""
    for number in range(IMAGES):
        photo(tmp_path / f"class{number % 2}" / f"{number:02}.png", 8, 9, seed=number)
    return StreamedSplit.of(listing(tmp_path), SIZE, RESIZE)


def pixels_of(split: StreamedSplit, position: int) -> torch.Tensor:
    pixels = torch.from_numpy(decoded(split.images.path(position), SIZE, RESIZE).copy())
    return pixels.permute(2, 0, 1) / 255


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    lock = threading.Lock()

    def recorded(path: Path, size: int, resize: int) -> Any:
        with lock:
            names.append(path.name)
        return decoded(path, size, resize)

    monkeypatch.setattr(streaming, "decoded", recorded)
    return names


def test_batches_hold_the_decoded_pixels_of_their_positions(split: StreamedSplit) -> None:
    chunks = [torch.tensor([3, 1]), torch.tensor([13, 13, 0]), torch.tensor([2])]
    batches = list(split.read(chunks))
    for batch, chunk in zip(batches, chunks, strict=True):
        assert torch.equal(batch.index, chunk)
        assert torch.equal(batch.y, split.images.y[chunk])
        expected = torch.stack([pixels_of(split, position) for position in chunk.tolist()])
        assert torch.equal(batch.x, expected)
        assert batch.x.is_contiguous()


def test_a_cut_split_keeps_its_index_and_reads_only_its_own_files(
    split: StreamedSplit, names: list[str]
) -> None:
    cut = split.take(torch.tensor([5, 2, 9])).take(torch.tensor([2, 0]))
    (batch,) = cut.batches(10)
    assert batch.index.tolist() == [9, 5]
    assert batch.y.tolist() == cut.labels().tolist() == split.images.y[[9, 5]].tolist()
    assert sorted(names) == sorted(split.images.path(position).name for position in (9, 5))


@pytest.mark.parametrize("size", [1, 3])
def test_at_most_two_batches_are_decoded_ahead(
    split: StreamedSplit, names: list[str], size: int
) -> None:
    batches: Iterator[Batch] = split.batches(size)
    for read in range(1, 4):
        next(batches)
        assert read * size <= len(names) <= (read + BATCHES_AHEAD) * size


def test_an_empty_split_gives_one_empty_batch_as_a_split_in_memory_does(
    split: StreamedSplit, names: list[str]
) -> None:
    empty = split.take(torch.tensor([], dtype=torch.int64))
    in_memory = TensorSplit(torch.zeros(0, 3, SIZE, SIZE), torch.zeros(0, dtype=torch.int64))
    for data in (empty, in_memory):
        (batch,) = data.batches(4)
        assert batch.x.shape == (0, 3, SIZE, SIZE)
        assert len(batch.y) == len(batch.index) == 0
    assert list(split.read([])) == names == []


def test_a_damaged_file_is_refused_at_its_own_batch(split: StreamedSplit) -> None:
    split.images.path(4).write_bytes(b"no image")
    batches = split.batches(2)
    assert [next(batches).index.tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(InvspecError, match="cannot be read as an image"):
        next(batches)


def test_reading_leaves_no_threads_behind(split: StreamedSplit) -> None:
    before = threading.active_count()
    list(split.batches(3))
    batches = split.batches(3)
    next(batches)
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert threading.active_count() == before
