"""Pictures as the tensors of a score."""

from __future__ import annotations

import pytest
import torch

from invspec.data import ClassMatrix, ImageGrid, Matrix, Picture, Regions

IMAGES = ImageGrid(torch.rand(2, 3, 1, 4, 4), torch.rand(2, 3), torch.ones(2, 3).bool())
PICTURES: list[Picture] = [
    Matrix(torch.rand(2, 3)),
    ClassMatrix(torch.rand(3, 3)),
    IMAGES,
    ImageGrid(IMAGES.images, IMAGES.captions, IMAGES.frames, sides=torch.rand(2)),
    Regions(
        torch.zeros(1, 2, 4, 4).byte(),
        torch.tensor([1.2]),
        torch.tensor([1.0, 2.0]),
        torch.tensor([0, 1]),
        torch.zeros(1, 2, 2, 8).bool(),
        points={"x": torch.zeros(1, 2), "metamer": torch.ones(1, 2)},
    ),
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: type(picture).__name__)
def test_a_picture_is_read_back_from_its_tensors(picture: Picture) -> None:
    tensors = picture.tensors()
    found = type(picture).read(tensors)
    assert found is not None
    assert found.tensors().keys() == tensors.keys()
    assert all(found.tensors()[name] is tensor for name, tensor in tensors.items())


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: type(picture).__name__)
def test_a_picture_of_one_kind_is_none_of_another(picture: Picture) -> None:
    others = {Matrix, ClassMatrix, ImageGrid, Regions} - {type(picture)}
    assert [other.read(picture.tensors()) for other in others] == [None] * 3
