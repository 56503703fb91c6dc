import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from invspec.data import TensorSplit
from invspec.datasets.fake import Fake
from invspec.models.linear import Linear
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import Stream


def test_it_can_imitate_another_data_set() -> None:
    fake = Fake(shape=(3, 5, 7), classes=4, bounds=(-2.0, None), train=6)
    assert (fake.shape, fake.classes, fake.bounds) == ((3, 5, 7), 4, (-2.0, math.inf))
    assert fake.load("train").pixels.shape == (6, 3, 5, 7)


def test_images_in_zero_to_one_are_bytes() -> None:
    pixels = Fake().load("test").pixels
    assert pixels.dtype == torch.uint8
    assert pixels.float().std() > 50  # they use the range


@pytest.mark.parametrize("bounds", [(-1.0, 3.0), (None, None), (5.0, None), (None, -5.0)])
def test_other_bounds_give_floats_that_keep_them(bounds: tuple[float | None, float | None]) -> None:
    fake = Fake(shape=(1, 1, 12), bounds=bounds)
    pixels = fake.load("test").pixels
    low, high = fake.bounds
    assert pixels.dtype == torch.float32
    assert low <= pixels.min() < pixels.max() <= high


def test_every_head_is_balanced() -> None:
    labels = Fake(classes=4, test=13).load("test").head(9).labels()
    assert labels.bincount().tolist() == [3, 2, 2, 2]


def test_the_seed_decides_patterns_and_noise() -> None:
    first, again, other = (Fake(seed=seed).load("val").pixels for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_splits_share_patterns_but_no_image() -> None:
    train, test = (Fake().load(split).pixels[:10].float() for split in ("train", "test"))
    assert not train.equal(test)
    assert (train - test).abs().max() <= 255 / 4 + 1  # the noise, and rounding


@pytest.mark.parametrize(("bounds"), [(1.0, 0.0), (0.5, 0.5)])
def test_bounds_in_the_wrong_order_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="the first must be below the second"):
        Fake(bounds=bounds)


def fit(net: nn.Module, split: TensorSplit, epochs: int) -> None:
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in split.batches(32, shuffle=Stream("order")):
            optimiser.zero_grad()
            F.cross_entropy(net(batch.x), batch.y).backward()
            optimiser.step()


@torch.no_grad()
def accuracy(net: nn.Module, split: TensorSplit) -> float:
    (batch,) = split.batches(len(split))
    return (net(batch.x).argmax(1) == batch.y).float().mean().item()


@pytest.mark.parametrize(("model", "epochs"), [(Linear(), 1), (StdCNN(dropout=0.0), 2)])
def test_a_small_net_learns_it_within_two_epochs(model: Linear | StdCNN, epochs: int) -> None:
    torch.manual_seed(0)
    net, fake = model.build((1, 28, 28), 10), Fake()
    fit(net, fake.load("train"), epochs)
    assert accuracy(net, fake.load("test")) > 0.7  # chance is 0.1


def test_two_pixels_are_enough_to_classify() -> None:
    for seed in range(20):
        patterns = Fake(shape=(1, 1, 2), classes=2, seed=seed)._patterns()
        assert (patterns[0] - patterns[1]).abs().max() > 0
