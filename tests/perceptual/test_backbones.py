"""Fixed nets whose features LPIPS compares."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from features_toys import images
from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.perceptual.backbones import ROWS, Backbone, Outputs, backbone, head_weights


@pytest.mark.usefixtures("random_weights")
def test_a_backbone_is_loaded_once_and_has_no_gradients() -> None:
    first = backbone("alex", torch.device("cpu"))
    assert backbone("alex", torch.device("cpu")) is first
    assert not first.training
    assert not any(weight.requires_grad for weight in first.parameters())
    assert {weight.dtype for weight in first.parameters()} == {torch.float32}


@pytest.mark.usefixtures("random_weights")
def test_loading_a_backbone_draws_no_global_random_numbers() -> None:
    before = torch.get_rng_state()
    backbone("alex", torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())


class Kept(nn.Module):
    """Keeps its input as the only map."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        self.rows = len(x)
        return (x,)


def test_images_are_standardised_by_channel() -> None:
    x = images(2)
    (features,) = Backbone(Kept(), (0.5, 0.25, 0.0), (1.0, 0.5, 0.25))(x)
    expected = [x[:, 0] - 0.5, (x[:, 1] - 0.25) / 0.5, x[:, 2] / 0.25]
    torch.testing.assert_close(features, torch.stack(expected, dim=1))


def test_greyscale_is_repeated_and_other_channels_are_refused() -> None:
    net = Backbone(Kept(), (0.0,) * 3, (1.0,) * 3)
    x = images(2, channels=1)
    assert torch.equal(net(x)[0], torch.cat([x, x, x], dim=1))
    for channels in (2, 4):
        with pytest.raises(InvspecError, match=f"images of 1 or 3 channels, found {channels}"):
            net(images(2, channels=channels))


@pytest.mark.parametrize(("side", "padded"), [(32, 32), (40, 40), (31, 33), (28, 34), (8, 34)])
def test_small_images_get_a_black_margin_and_large_ones_none(side: int, padded: int) -> None:
    net = Backbone(Kept(), (0.0,) * 3, (1.0,) * 3)
    x = images(2, side=side)
    (features,) = net(x)
    assert features.shape == (2, 3, padded, padded)
    margin = (padded - side) // 2
    inside = features[:, :, margin : margin + side, margin : margin + side]
    assert torch.equal(inside, x)
    assert features.sum().item() == pytest.approx(x.sum().item(), rel=1e-5)


@pytest.mark.parametrize("rows", [1, ROWS, ROWS + 1])
def test_batches_are_filled_up_inside_and_cut_again(rows: int) -> None:
    kept = Kept()
    (features,) = Backbone(kept, (0.0,) * 3, (1.0,) * 3)(images(rows))
    assert kept.rows % ROWS == 0
    assert torch.equal(features, images(rows))


def test_outputs_are_those_of_the_positions_in_order() -> None:
    layers = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    x = torch.rand(3, 2)
    first, last = Outputs(layers, (0, 3))(x)
    assert torch.equal(first, layers[0](x))
    assert torch.equal(last, layers(x))


@pytest.mark.parametrize(("name", "widths"), [("alex", [64, 192, 384, 256, 256])])
def test_the_weights_of_a_head_are_one_per_channel_and_not_negative(
    name: Any, widths: list[int]
) -> None:
    heads = head_weights(name, torch.device("cpu"))
    assert [len(weights) for weights in heads] == widths
    assert all((weights >= 0).all() for weights in heads)
