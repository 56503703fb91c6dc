"""Metamers of layers whose pre-images are known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.layer_metamer import LayerMetamer
from invspec.data import Batch
from invspec.errors import InvspecError
from invspec.ops.draws import PerExample


class Halving(nn.Module):
    """The first layer keeps the left half of 2 x 4 pixels, the logits sum each of its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.rows = Left(), Rows()

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(self.left(x))


class Left(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, :, :2]


class Rows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(2)


def batch_of(n: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x, x_target = torch.rand(2, n, 1, 2, 4, generator=generator)
    y = torch.zeros(n, dtype=torch.int64)
    return Batch(x, y, torch.arange(n), x_target=x_target, y_target=y + 1)


def metamers(**fields: Any) -> tuple[Batch, Tensor]:
    batch, attack = batch_of(), LayerMetamer(**{"steps": 300, **fields})
    result = attack.perturb(Halving(), batch, PerExample("task", batch.index))
    assert (result.forwards.unique().item(), result.backwards.unique().item()) == (
        attack.steps + 2,
        attack.steps,
    )
    return batch, result.x_adv


def test_only_what_the_layer_sees_is_that_of_the_image() -> None:
    batch, x_adv = metamers(layer="left")
    torch.testing.assert_close(x_adv[..., :2], batch.x[..., :2], rtol=0, atol=1e-3)
    assert (x_adv[..., 2:] - batch.x[..., 2:]).abs().mean() > 0.1


def test_metamers_of_logits_share_less() -> None:
    batch, x_adv = metamers()
    net = Halving()
    torch.testing.assert_close(net(x_adv), net(batch.x), rtol=0, atol=1e-3)
    assert (x_adv[..., :2] - batch.x[..., :2]).abs().mean() > 0.05


def test_a_search_from_the_target_leaves_what_the_layer_does_not_see() -> None:
    batch, x_adv = metamers(layer="left", start="target")
    assert torch.equal(x_adv[..., 2:], batch.targets[..., 2:])
    torch.testing.assert_close(x_adv[..., :2], batch.x[..., :2], rtol=0, atol=1e-3)
    assert LayerMetamer(start="target").wants_target
    assert not LayerMetamer().wants_target


def test_pixels_stay_in_their_range_and_the_nearest_image_is_kept() -> None:
    batch, x_adv = metamers(steps=3, step_size=5.0)
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    net, (_, further) = Halving(), metamers(steps=1, step_size=5.0)
    distances = [(net(x) - net(batch.x)).norm(dim=1) for x in (x_adv, further)]
    assert (distances[0] <= distances[1] + 1e-6).all()


def test_a_layer_that_the_net_lacks_is_named() -> None:
    with pytest.raises(InvspecError, match="the net has no layer right"):
        metamers(layer="right")
