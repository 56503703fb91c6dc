"""Every layer is inverted, and its log-determinant compared with autograd's Jacobian."""

from __future__ import annotations

import pytest
import torch
from flow_toys import SHAPE, learnt, random_maps, true_log_det

from invspec.flows.couplings import AdditiveCoupling, AffineCoupling, coupling_net
from invspec.flows.invertible import Invertible
from invspec.flows.layers import (
    DCT,
    ActNorm,
    ChannelReversal,
    Flatten,
    Invertible1x1,
    Rescale,
    Squeeze,
)

NORMS = ("actnorm", "batch_norm", "none")


def layers() -> dict[str, Invertible]:
    found: dict[str, Invertible] = {
        "rescale": Rescale(2, -1),
        "flatten": Flatten(SHAPE),
        "squeeze": Squeeze(),
        "reversal": ChannelReversal(),
        "actnorm": ActNorm(4),
        "1x1": Invertible1x1(4),
        "dct": DCT(),
    }
    for norm in NORMS:
        found[f"additive {norm}"] = AdditiveCoupling(coupling_net(2, 5, 2, norm))
        found[f"affine {norm}"] = AffineCoupling(coupling_net(2, 5, 4, norm))
    return found


@pytest.mark.parametrize("name", layers())
def test_inverse_inverts_forward(name: str) -> None:
    layer, x = learnt(layers()[name]), random_maps()
    y, log_det = layer(x)
    torch.testing.assert_close(layer.inverse(y), x, rtol=0, atol=1e-12)
    assert log_det.shape == (3,)


@pytest.mark.parametrize("name", layers())
def test_the_log_determinant_is_that_of_the_jacobian(name: str) -> None:
    layer, x = learnt(layers()[name]), random_maps()
    torch.testing.assert_close(layer(x)[1], true_log_det(layer, x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in layers() if "flatten" not in name])
def test_replay_has_the_gradients_of_forward(name: str) -> None:
    layer, x = learnt(layers()[name]).train(), random_maps().requires_grad_()
    y, log_det = layer(x)
    weights = list(layer.parameters())
    expected = torch.autograd.grad(y.sin().sum() + log_det.sum(), (x, *weights), allow_unused=True)
    parts, (again, same) = layer.replay(y.detach())
    assert all(part.is_leaf for part in parts)
    torch.testing.assert_close(torch.cat(parts, dim=1), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(same, log_det, rtol=0, atol=1e-10)
    found = torch.autograd.grad(
        again.sin().sum() + same.sum(), (*parts, *weights), allow_unused=True
    )
    torch.testing.assert_close(torch.cat(found[: len(parts)], dim=1), expected[0])
    torch.testing.assert_close(found[len(parts) :], expected[1:])


def test_the_backbone_stays_float32_under_autocast() -> None:
    x = torch.rand(2, *SHAPE)
    for name, layer in layers().items():
        with torch.autocast("cpu", torch.bfloat16):
            y, log_det = layer(x)
        assert y.dtype == log_det.dtype == torch.float32, name
