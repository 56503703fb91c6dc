import torch
from torch import nn

from invspec.data import Batch
from invspec.defences.rotation_augmentation import RotationAugmentation
from invspec.ops.draws import Stream
from invspec.ops.geometry import rotate


def batch(n=64):
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def test_no_rotation_is_the_identity():
    lesson = RotationAugmentation(max_degrees=0).lesson(nn.Identity(), batch(), 0.5, Stream("key"))
    assert torch.equal(lesson.x, batch().x)


def test_each_image_has_its_own_angle_within_the_range(monkeypatch):
    seen = []

    def watched(x, degrees, interpolation):
        seen.append(degrees)
        return rotate(x, degrees, interpolation=interpolation)

    monkeypatch.setattr("invspec.defences.rotation_augmentation.rotate", watched)
    lesson = RotationAugmentation(max_degrees=30).lesson(nn.Identity(), batch(1000), 0.5, Stream("key"))
    (degrees,) = seen
    assert lesson.x.shape == (1000, 1, 8, 8)
    assert degrees.unique().numel() > 990
    assert -30 <= degrees.min() < -28
    assert 28 < degrees.max() <= 30
    assert abs(degrees.mean()) < 2  # its standard error is 17 / sqrt(1000) = 0.55


def test_angles_are_drawn_anew_each_time():
    defence, rng = RotationAugmentation(), Stream("key")
    first, second = (defence.lesson(nn.Identity(), batch(), 0.5, rng).x for _ in range(2))
    assert not torch.equal(first, second)


def test_labels_and_index_stay():
    lesson = RotationAugmentation(interpolation="nearest").lesson(nn.Identity(), batch(), 0.5, Stream("key"))
    assert torch.equal(lesson.y, batch().y)
    assert set(lesson.x.unique().tolist()) <= {0.0, *batch().x.unique().tolist()}
