from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.data import TensorSplit
from invspec.datasets.shapes import FIGURES, NOISE, RADII, Shapes, colours, cover
from invspec.ops.draws import Stream
from invspec.ops.geometry import rotate


def drawn(side: int = 32) -> Tensor:
    """Every figure, upright and centred in a square of 3.2 radii: (10, side, side) of 0 and 1."""
    along = (torch.arange(side) - (side - 1) / 2) * 3.2 / side
    v, u = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([(figure(u, v) < 0).float() for figure in FIGURES])


def test_images_are_rgb_bytes_and_labels_cycle() -> None:
    split = Shapes(classes=4, test=10).load("test")
    assert split.pixels.shape == (10, 3, 32, 32)
    assert split.pixels.dtype == torch.uint8
    assert split.labels().tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_fields_set_the_numbers_of_classes_and_images() -> None:
    shapes = Shapes(classes=3, train=7, val=5, test=4)
    assert (shapes.shape, shapes.classes) == ((3, 32, 32), 3)
    assert {len(shapes.load(split)) for split in ("train", "val", "test")} == {7, 5, 4}


@pytest.mark.parametrize("classes", [1, 11])
def test_there_are_ten_figures(classes: int) -> None:
    with pytest.raises(ValidationError, match="classes"):
        Shapes(classes=classes)
    assert len(FIGURES) == 10


def test_the_seed_decides_the_images() -> None:
    first, again, other = (Shapes(train=20, seed=seed).load("train").pixels for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_no_image_is_drawn_twice() -> None:
    shapes = Shapes(train=300, val=300, test=300)
    images = torch.cat([shapes.load(split).pixels for split in ("train", "val", "test")]).flatten(1)
    assert len(images.unique(dim=0)) == 900


def test_figures_have_their_areas() -> None:
    areas = drawn(side=640).mean((1, 2)) * 3.2**2
    disc, lens = (
        torch.pi,
        1.6121,
    )  # the lens that circles of radius 1 and 0.8 share whose centres are 0.5 apart
    expected = [
        disc,
        4 * 0.6 - 0.36,
        3 * 1.8 * 0.4,
        0.75 * 3**0.5,
        disc * 0.75,
        1.7**2,
        disc * 0.32,
        disc - lens,
    ]
    assert areas.tolist() == pytest.approx([*expected, 1.8**2 - 1, 2 * 0.6], abs=0.02)


def test_no_figure_is_a_rotated_other_one() -> None:
    figures = drawn()
    for i, figure in enumerate(figures):
        degrees = torch.arange(0, 360, 5.0)
        turned = rotate(figure.expand(len(degrees), 1, 32, 32), degrees)[:, 0]
        for other in (*figures[:i], *figures[i + 1 :]):
            common, either = turned.minimum(other).sum((1, 2)), turned.maximum(other).sum((1, 2))
            assert (common / either).max() < 0.9


def test_figures_lie_within_the_image_at_many_places_and_sizes() -> None:
    discs = cover(torch.zeros(500, dtype=torch.int64), Stream("places"))
    radius = (discs.sum((1, 2)) / torch.pi).sqrt()
    assert radius.min() == pytest.approx(RADII[0], abs=0.2)
    assert radius.max() == pytest.approx(RADII[1], abs=0.2)
    column = (discs.sum(1) * torch.arange(32)).sum(1) / discs.sum((1, 2))
    assert column.min() < 9
    assert column.max() > 22


def test_figure_and_ground_contrast_in_both_directions() -> None:
    figure, ground = colours(400, Stream("colours"))
    lighter = figure - ground
    assert (lighter.abs() >= 0.2 - 1e-6).all()
    assert (lighter.amin(1) > 0).sum() + (lighter.amax(1) < 0).sum() == 400
    assert 150 < (lighter[:, 0] > 0).sum() < 250


def test_noise_is_on_every_pixel() -> None:
    ground = (
        Shapes(test=50).load("test").pixels[:, :, 0, 0].float() / 255
    )  # in the corner, where no figure reaches
    again = Shapes(test=50).load("test").pixels[:, :, 0, 1].float() / 255
    assert 0 < (ground - again).abs().mean() < NOISE
    assert (ground - again).abs().max() <= 2 * NOISE + 1 / 255


def fit(net: nn.Module, split: TensorSplit, epochs: int) -> None:
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(epochs):
        for batch in split.batches(50, shuffle=Stream(f"order {epoch}")):
            optimiser.zero_grad()
            F.cross_entropy(net(batch.x), batch.y).backward()
            optimiser.step()


@torch.no_grad()
def accuracy(net: nn.Module, split: TensorSplit) -> float:
    (batch,) = split.batches(len(split))
    return (net.eval()(batch.x).argmax(1) == batch.y).float().mean().item()


def convolution(channels: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, 5, 2, 2, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


def test_a_small_convolutional_net_learns_it_and_a_linear_one_does_not() -> None:
    torch.manual_seed(0)
    layers = (nn.AvgPool2d(2), convolution(3, 16), convolution(16, 32), nn.AdaptiveMaxPool2d(1))
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 4))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4))
    shapes = Shapes(classes=4, train=1000, test=400)
    train, test = shapes.load("train"), shapes.load("test")
    fit(net, train, epochs=4)
    fit(linear, train, epochs=2)
    assert accuracy(net, test) > 0.8  # chance is 0.25
    assert accuracy(linear, test) < 0.4
