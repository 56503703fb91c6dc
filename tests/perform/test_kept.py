"""What attacks store that keep their images, and what measures read of them."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.attacks.fgsm import FGSM
from invspec.attacks.identity import Identity
from invspec.data import TensorSplit
from invspec.perform.kept import WithImages, stored, with_images

PIXELS = torch.arange(24, dtype=torch.uint8).view(6, 1, 2, 2)
CLEAN = TensorSplit(PIXELS, torch.arange(6))


def columns() -> dict[str, Tensor]:
    return {"index": torch.arange(6), "x_adv": PIXELS / 255}


def test_images_of_the_data_set_are_not_stored_again() -> None:
    assert list(stored(Identity(), columns())) == ["index"]
    assert list(stored(FGSM(eps=0.1), columns())) == ["index", "x_adv"]


def test_they_are_read_from_the_data_set() -> None:
    read = with_images(stored(Identity(), columns()), CLEAN)
    assert isinstance(read, WithImages)
    assert {name: read[name].tolist() for name in read} == {
        name: column.tolist() for name, column in columns().items()
    }
    assert "x_adv" in read
    assert len(read) == 2


def test_only_the_rows_that_are_asked_for_are_read() -> None:
    asked = list[int]()

    class Counting(TensorSplit):
        def take(self, positions: Tensor) -> TensorSplit:
            asked.extend(positions.tolist())
            return super().take(positions)

    read = WithImages({"index": torch.arange(6)}, Counting(PIXELS, torch.arange(6)))
    assert torch.equal(read.rows("x_adv", 2, 4), PIXELS[2:4] / 255)
    assert asked == [2, 3]
    assert read.rows("x_adv", 0, 0).shape == (0, 1, 2, 2)
    assert read.rows("index", 1, 3).tolist() == [1, 2]


def test_images_that_are_stored_are_read_as_they_are() -> None:
    tensors = columns() | {"x_adv": torch.zeros(6, 1, 2, 2)}
    assert with_images(tensors, CLEAN) is tensors
