"""Every layer is inverted, and its log-determinant compared with autograd's Jacobian."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.flows.couplings import (
    LEAST_H,
    AdditiveCoupling,
    AffineCoupling,
    NormedConv,
    ScaledConv,
    coupling_net,
    frozen_statistics,
)
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
from invspec.ops.dct import dct_matrix

SHAPE = (4, 4, 4)
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


def learnt(layer: nn.Module) -> Any:
    """The layer as after some training: all weights moved, in eval mode, in float64."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return layer.double().eval()


def some(*shape: int) -> Tensor:
    return torch.randn(3, *(shape or SHAPE), dtype=torch.float64)


def true_log_det(layer: nn.Module, x: Tensor) -> Tensor:
    """log |det| of each example's Jacobian (B,), from autograd."""
    found = []
    for one in x:

        def alone(z: Tensor) -> Tensor:
            return layer(z[None])[0].flatten()

        jacobian = torch.autograd.functional.jacobian(alone, one)
        found.append(torch.linalg.slogdet(jacobian.reshape(one.numel(), -1)).logabsdet)
    return torch.stack(found)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", layers())
def test_inverse_inverts_forward(name: str) -> None:
    layer, x = learnt(layers()[name]), some()
    y, log_det = layer(x)
    torch.testing.assert_close(layer.inverse(y), x, rtol=0, atol=1e-12)
    assert log_det.shape == (3,)


@pytest.mark.parametrize("name", layers())
def test_the_log_determinant_is_that_of_the_jacobian(name: str) -> None:
    layer, x = learnt(layers()[name]), some()
    torch.testing.assert_close(layer(x)[1], true_log_det(layer, x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in layers() if "flatten" not in name])
def test_replay_has_the_gradients_of_forward(name: str) -> None:
    layer, x = learnt(layers()[name]).train(), some().requires_grad_()
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


def test_only_the_first_training_batch_initialises_actnorm() -> None:
    layer, x = ActNorm(4).double(), 5 + 3 * some()
    assert layer.eval()(x)[0].equal(x)
    y, log_det = layer.train()(x)
    deviation, mean = torch.std_mean(y, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-6)
    torch.testing.assert_close(deviation, torch.ones_like(mean), rtol=0, atol=1e-6)
    torch.testing.assert_close(log_det, 16 * layer.log_scale.sum().expand(3))
    before = layer.bias.clone()
    layer(2 * x)
    assert layer.bias.equal(before)


def test_a_loaded_actnorm_is_not_initialised_again() -> None:
    layer, x = ActNorm(4), some().float()
    layer(x)
    again = ActNorm(4)
    again.load_state_dict(layer.state_dict())
    other = 7 + 2 * x
    assert again.train()(other)[0].equal(layer(other)[0])
    assert again.initialised


def test_actnorm_inside_a_convolution_is_folded_into_it() -> None:
    layer: Any = NormedConv(4, 6, 3, "actnorm").double()
    x = 2 + some()
    y = layer(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(6, dtype=y.dtype), rtol=0, atol=1e-6)
    learnt(layer)
    torch.testing.assert_close(layer(x), layer.norm(layer.conv(x))[0])


def test_a_coupling_starts_as_the_identity_or_as_one_scale() -> None:
    x = some()
    assert AdditiveCoupling(coupling_net(2, 5, 2, "actnorm")).double()(x)[0].equal(x)
    y, log_det = AffineCoupling(coupling_net(2, 5, 4, "actnorm")).double()(x)
    scale = torch.sigmoid(torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(y, torch.cat([x[:, :2], scale * x[:, 2:]], dim=1))
    torch.testing.assert_close(log_det, (32 * scale.log()).expand(3))


def test_the_last_convolution_is_scaled_by_exp_of_three_log_scale() -> None:
    layer, x = learnt(ScaledConv(4, 2)), some()
    bare = nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), bare * (3 * layer.log_scale).exp().view(-1, 1, 1))


def test_inverting_far_away_codes_does_not_overflow() -> None:
    net = nn.Conv2d(2, 4, 1)
    nn.init.constant_(net.weight, 0)
    nn.init.constant_(net.bias, -1e4)
    layer = AffineCoupling(net)
    x = layer.inverse(torch.ones(1, 4, 2, 2))
    assert x.isfinite().all()
    log_det = layer(x)[1]
    assert log_det.item() == pytest.approx(8 * math.log(1 / (1 + math.exp(-LEAST_H - 2))), rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_the_dct_is_orthonormal(n: int) -> None:
    matrix = dct_matrix(n)
    torch.testing.assert_close(
        matrix @ matrix.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_frequency_0_of_the_dct_is_the_mean_times_the_root_of_the_pixels() -> None:
    x = some(2, 4, 6)
    torch.testing.assert_close(DCT()(x)[0][:, :, 0, 0], x.mean((2, 3)) * math.sqrt(24))


def test_an_invertible_1x1_starts_orthogonal() -> None:
    weight = Invertible1x1(12).weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(12), rtol=0, atol=1e-5)
    assert Invertible1x1(12)(torch.randn(2, 12, 2, 2))[1].abs().max() < 1e-4


def test_a_squeeze_puts_the_input_channels_outermost() -> None:
    x = torch.arange(8.0).view(1, 2, 2, 2)
    assert Squeeze()(x)[0].flatten().tolist() == list(range(8))


def test_norms_learn_nothing_while_their_statistics_are_frozen() -> None:
    net, x = coupling_net(2, 5, 2, "batch_norm"), torch.randn(8, 2, 4, 4)
    before = [buffer.clone() for buffer in net.buffers()]
    with frozen_statistics(net):
        net(x)
    assert all(buffer.equal(old) for buffer, old in zip(net.buffers(), before, strict=True))
    net(x)
    assert not all(buffer.equal(old) for buffer, old in zip(net.buffers(), before, strict=True))


def test_inverting_does_not_initialise_actnorm() -> None:
    layer = AdditiveCoupling(coupling_net(2, 5, 2, "actnorm")).train()
    layer.inverse(torch.randn(3, 4, 4, 4))
    assert not any(module.initialised for module in layer.modules() if isinstance(module, ActNorm))


def test_the_backbone_stays_float32_under_autocast() -> None:
    x = torch.rand(2, *SHAPE)
    for name, layer in layers().items():
        with torch.autocast("cpu", torch.bfloat16):
            y, log_det = layer(x)
        assert y.dtype == log_det.dtype == torch.float32, name
