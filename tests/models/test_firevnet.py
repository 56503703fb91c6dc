"""Bijective nets: round trips, log-determinants, readouts, and images that do not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from outputs import fresh, parameters
from torch import Tensor, nn

from invspec.flows.layers import ActNorm, Invertible1x1
from invspec.kinds import Bijective, Model
from invspec.models.firevnet import FiRevNet
from invspec.ops.dct import dct_matrix
from invspec.perform.proxies import Padded, searched
from invspec.registry import methods

KINDS: dict[str, dict[str, Any]] = {
    "B.2": {"norm": "batch_norm"},
    "released": {"permutation": "reversal"},
    "affine": {"coupling": "affine"},
    "affine last": {"coupling": "affine_last", "norm": "none"},
    "dct": {"readout": "dct", "factor_out": False, "permutation": "reversal", "norm": "batch_norm"},
    "first": {"readout": "first", "actnorm": False},
    "reversible": {"memory": "reversible", "coupling": "affine"},
}


def lived(net: Any, x: Tensor, size: float = 0.05) -> Any:
    """The net in eval mode, after two batches in train mode and small changes of all weights."""
    with torch.no_grad():
        net.train()(x)
        net(x.flip(0))
        for weight in net.parameters():
            weight.add_(size * torch.randn_like(weight))
    return net.eval()


def images(shape: tuple[int, int, int], n: int = 4) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))


def net_of(shape: tuple[int, int, int] = (1, 16, 16), classes: int = 4, **fields: Any) -> Any:
    model = FiRevNet(**{"stages": 2, "blocks": 2, "width": 6, **fields})
    return lived(fresh(model, shape, classes), images(shape))


def round_trip(net: Any, x: Tensor) -> float:
    with torch.no_grad():
        return (net.decode(*net.encode(x)) - x).abs().max().item()


@pytest.mark.parametrize("kind", KINDS)
def test_decode_inverts_encode(kind: str) -> None:
    net, x = net_of(**KINDS[kind]), images((1, 16, 16))
    assert round_trip(net, x) < 1e-3
    assert round_trip(net.double(), x.double()) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["firevnet_mnist", "firevnet_mnist_released"])
def test_48_blocks_on_32x32_are_inverted(name: str) -> None:
    torch.manual_seed(0)
    model, x = methods.make("model", name, {}), images((1, 32, 32))
    assert isinstance(model, FiRevNet)
    net = lived(model.build((1, 32, 32), 10), x, size=0.01)
    assert round_trip(net, x) < 1e-3
    assert round_trip(net.double(), x.double()) < 1e-9


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "reversible"]
)  # whose forward pass is the same
def test_the_log_determinant_is_that_of_the_jacobian(kind: str) -> None:
    net = net_of((1, 8, 8), **{"site": (1, 1), **KINDS[kind]}).double()
    x = images((1, 8, 8), n=2).double()

    def code(one: Tensor) -> Tensor:
        return torch.cat(net.encode(one.view(1, 1, 8, 8)), dim=1).flatten()

    expected = [
        torch.linalg.slogdet(torch.autograd.functional.jacobian(code, one.flatten())).logabsdet
        for one in x
    ]
    torch.testing.assert_close(
        net.encode_with_log_det(x)[2], torch.stack(expected), rtol=0, atol=1e-8
    )


def test_with_identical_couplings_and_orthogonal_matrices_actnorm_alone_changes_volume() -> None:
    torch.manual_seed(0)
    x = images((1, 16, 16))
    net: Any = FiRevNet(stages=2, blocks=2, width=6).build((1, 16, 16), 4)
    net.train()(x)
    for module in net.modules():
        if isinstance(module, Invertible1x1):
            module.weight.data = torch.linalg.qr(module.weight.double()).Q
    net.eval().double()
    scales = [
        layer.log_scale.sum()
        for stage in net.stages
        for layer in stage.layers
        if isinstance(layer, ActNorm)
    ]
    positions = [64, 64, 16, 16]  # 8x8 in the first stage, 4x4 in the second
    expected = 256 * math.log(2) + sum(
        n * scale for n, scale in zip(positions, scales, strict=True)
    )
    found = net.encode_with_log_det(x.double())[2]
    torch.testing.assert_close(found, expected.expand(4), rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_the_semantic_part_and_the_code_has_all_numbers(kind: str) -> None:
    net, x = net_of(**KINDS[kind]), images((1, 16, 16))
    semantic, nuisance = net.encode(x)
    assert semantic.equal(net(x))
    assert semantic.shape == (4, 4)
    assert nuisance.shape == (4, 252)
    again, rest, log_det = net.encode_with_log_det(x)
    assert again.equal(semantic)
    assert rest.equal(nuisance)
    assert log_det.shape == (4,)


def test_sketches_implement_bijective() -> None:
    assert isinstance(FiRevNet().sketch((1, 32, 32), 10), Bijective)


def test_another_nuisance_keeps_the_logits() -> None:
    net = net_of(coupling="affine").double()
    semantic, nuisance = net.encode(images((1, 16, 16)).double())
    metamers = net.decode(semantic, nuisance.flip(0))
    torch.testing.assert_close(net(metamers), semantic, rtol=0, atol=1e-9)
    torch.testing.assert_close(net.encode(metamers)[1], nuisance.flip(0), rtol=0, atol=1e-9)


def last_map(net: Any, x: Tensor) -> Tensor:
    """The last stage's output (B, C, H, W) of a net without factor_out."""
    for stage in net.stages:
        x, _ = stage(x)
    return x


def test_a_site_is_read_channel_by_channel() -> None:
    net, x = net_of(factor_out=False, site=(1, 2)), images((1, 16, 16))
    maps, (semantic, nuisance) = last_map(net, x), net.encode(x)
    assert semantic.equal(maps[:, :4, 1, 2])
    assert nuisance[:, :12].equal(maps[:, 4:, 1, 2])
    others = torch.cat([maps.flatten(2)[:, :, :6], maps.flatten(2)[:, :, 7:]], dim=2)
    assert nuisance[:, 12:].equal(others.flatten(1))


def test_readout_dct_reads_the_scaled_means() -> None:
    net, x = net_of(factor_out=False, readout="dct"), images((1, 16, 16))
    maps, (semantic, nuisance) = last_map(net, x), net.encode(x)
    torch.testing.assert_close(semantic, 4 * maps.mean((2, 3))[:, :4])
    matrix = dct_matrix(4).float()
    transformed = matrix @ maps @ matrix.T
    torch.testing.assert_close(nuisance[:, 12:], transformed.flatten(2)[:, :, 1:].flatten(1))


def test_the_first_numbers_are_read_from_the_flattened_map() -> None:
    net, x = net_of(factor_out=False, readout="first"), images((1, 16, 16))
    assert torch.cat(net.encode(x), dim=1).equal(last_map(net, x).flatten(1))


def test_halves_that_left_last_come_first_in_the_nuisance() -> None:
    net, x = net_of((1, 32, 32), stages=3), images((1, 32, 32))
    first, _ = net.stages[0](x)
    second, _ = net.stages[1](first[:, :2])
    left = torch.cat([second[:, 4:].flatten(1), first[:, 2:].flatten(1)], dim=1)
    assert net.encode(x)[1][:, 256 - 4 :].equal(left)


def test_the_nets_of_the_paper_have_its_shapes() -> None:
    assert FiRevNet().shapes((1, 32, 32)) == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]
    imagenet = methods.make("model", "firevnet_imagenet", {})
    assert isinstance(imagenet, FiRevNet)
    assert imagenet.shapes((3, 224, 224)) == [
        (48, 56, 56),
        (192, 28, 28),
        (768, 14, 14),
        (3072, 7, 7),
    ]
    assert imagenet.stages * imagenet.blocks * 3 == 48


def test_the_number_of_parameters_of_the_imagenet_net() -> None:
    imagenet = methods.make("model", "firevnet_imagenet", {})
    assert isinstance(imagenet, Model)
    assert 40e6 < parameters(imagenet.sketch((3, 224, 224), 1000)) < 2**26


@pytest.mark.parametrize(
    ("fields", "shape", "classes", "found"),
    [
        ({}, (1, 28, 28), 10, "a squeeze needs an even height and width, found 7x7"),
        ({}, (1, 8, 8), 10, r"site 2, 2 is outside the last map, which is 1x1"),
        ({}, (1, 32, 32), 17, "17 logits need at least 17 channels in the last map, found 16"),
        (
            {"input_squeezes": 0},
            (1, 32, 32),
            10,
            "couplings need an even number of channels, found 1",
        ),
        (
            {"readout": "first", "stages": 1},
            (1, 2, 2),
            10,
            "10 logits need at least 10 numbers in the last map, found 4",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused(
    fields: dict, shape: tuple, classes: int, found: str
) -> None:
    with pytest.raises(ValueError, match=found):
        FiRevNet(**fields).sketch(shape, classes)


def test_a_net_trained_in_bfloat16_still_inverts_after_loading() -> None:
    torch.manual_seed(0)
    model, x, y = FiRevNet(stages=2, blocks=2, width=8), images((1, 16, 16), 8), torch.arange(8) % 4
    net = model.build((1, 16, 16), 4).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    losses: list[float] = []
    for _ in range(10):
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.functional.cross_entropy(net(x).float(), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    again = model.build((1, 16, 16), 4)
    again.load_state_dict(net.state_dict())
    assert again.train()(5 * x).equal(net(5 * x))
    deployed = model.deploy(again)
    assert deployed(x).equal(net.eval()(x))
    assert round_trip(deployed, x) < 1e-3
    assert round_trip(deployed.double(), x.double()) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_may_be_searched_in_bfloat16(kind: str) -> None:
    net, x = net_of(**KINDS[kind]).requires_grad_(False), images((1, 16, 16))
    low = searched(Padded(net), "bfloat16")
    torch.testing.assert_close(low(x), net(x), rtol=0.1, atol=0.2)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(low(x).sum(), x)
    (expected,) = torch.autograd.grad(net(x).sum(), x)
    assert torch.cosine_similarity(gradient.flatten(), expected.flatten(), dim=0) > 0.98
    assert low.encode_with_log_det(x)[2].dtype == torch.float32
    assert net.bfloat16().encode_with_log_det(x.bfloat16())[2].dtype == torch.float32
