"""Maxima over all positions."""

from __future__ import annotations

import torch

from invspec.layers.pooling import SpatialMax


def test_the_maximum_of_every_channel_is_left() -> None:
    x = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = [[max(channel.flatten().tolist()) for channel in image] for image in x]
    assert SpatialMax()(x).tolist() == expected


def test_a_shift_of_the_map_changes_nothing() -> None:
    x = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(SpatialMax()(x.roll((1, 2), dims=(2, 3))), SpatialMax()(x))
