"""Columns of images whose metamers one can name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from columns import filled
from pair_examples import FirstPixels
from shown import shown
from torch import Tensor

from invspec.data import Examples, ImageGrid, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.layer_metamer_pictures import LayerMetamerPictures

IMAGES = torch.eye(2)[torch.tensor([1, 0, 1, 0])].view(4, 1, 1, 2)
Y = torch.tensor([0, 0, 1, 0])  # the oracle misreads the first


def oracle(x: Tensor) -> Tensor:
    return 100 * x.flatten(1)


def swept(**layers: Tensor) -> list[Examples]:
    clean = TensorSplit(IMAGES, Y)
    judged = filled({"index": clean.index, "y": Y})
    return [
        Examples(clean, judged, {"x_adv": x_adv}, {"layer": name}, oracle=oracle)
        for name, x_adv in layers.items()
    ]


def test_the_images_that_the_oracle_reads_are_shown_above_their_metamers() -> None:
    score = LayerMetamerPictures(count=2).score(
        FirstPixels(2), *swept(first=IMAGES, second=IMAGES.flip(3))
    )
    assert {row.where["layer"]: row.value for row in shown(score)} == pytest.approx(
        {"clean": 1, "first": 1, "second": 0}
    )
    grid = ImageGrid.read(score.tensors)
    assert grid is not None
    assert torch.equal(grid.images[0], IMAGES[1:3])
    assert torch.equal(grid.images[2], IMAGES[1:3].flip(3))
    assert grid.frames.tolist() == [[True, True], [False, False], [False, False]]
    assert grid.sides is not None
    assert grid.sides.tolist() == [0, 1, 2]


def test_attacks_without_layers_are_refused() -> None:
    (one,) = swept(first=IMAGES)
    for attacks in ([one, one], [replace(one, settings={})]):
        with pytest.raises(InvspecError, match="whose field layer is swept"):
            LayerMetamerPictures().score(FirstPixels(2), *attacks)


def test_an_oracle_that_is_never_right_is_refused() -> None:
    blind = [replace(one, oracle=lambda x: -oracle(x)) for one in swept(first=IMAGES[1:2])]
    blind = [replace(one, clean=TensorSplit(IMAGES[1:2], Y[1:2])) for one in blind]
    with pytest.raises(InvspecError, match="labels none of the first 1 images"):
        LayerMetamerPictures().score(FirstPixels(2), *blind)
    score = LayerMetamerPictures(among="all").score(FirstPixels(2), *blind)
    assert [row.value for row in shown(score)] == pytest.approx([0, 0])
