"""Metamers of small bijections: the logits of one image, the nuisance of another."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.attacks.metamer import Metamer
from invspec.data import Batch, Perturbed
from invspec.datasets.spheres import Spheres
from invspec.flows.bijective_net import BijectiveNet, MappedNet
from invspec.kinds import Bijective, Model
from invspec.models.firevnet import FiRevNet
from invspec.models.fully_connected_firevnet import FullyConnectedFiRevNet
from invspec.ops.draws import PerExample
from invspec.ops.precise import in_double
from invspec.ops.types import Shape
from invspec.registry.methods import make

N, SHAPE, D, K = 16, (1, 4, 4), 16, 3


class Bijection(nn.Module):
    """Affine couplings between the halves of the pixels; the code starts with the K logits."""

    def __init__(self, layers: int = 4) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.shifts = nn.ModuleList(nn.Linear(D // 2, D // 2) for _ in range(layers))
            self.scales = nn.ModuleList(nn.Linear(D // 2, D // 2) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)[0]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.flatten(1).chunk(2, dim=1)
        for shift, scale in zip(self.shifts, self.scales, strict=True):
            a, b = (b + shift(a).tanh()) * scale(a).sigmoid(), a
        code = torch.cat([a, b], dim=1)
        return code[:, :K], code[:, K:]

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raise AssertionError("a metamer needs no log-determinant")

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        a, b = torch.cat([semantic, nuisance], dim=1).chunk(2, dim=1)
        for shift, scale in zip(reversed(self.shifts), reversed(self.scales), strict=True):
            a, b = b, a / scale(b).sigmoid() - shift(b).tanh()
        return torch.cat([a, b], dim=1).view(-1, *SHAPE)


class Reversal(nn.Module):
    """The code is the pixels in reverse order, so that metamers have a closed form."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1).flip(1)[:, :K], x.flatten(1).flip(1)[:, K:]

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.encode(x), x.new_zeros(len(x))

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        return torch.cat([semantic, nuisance], dim=1).flip(1).view(-1, *SHAPE)


def batch_of(n: int = N) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x, x_target = torch.rand(2, n, *SHAPE, generator=generator)
    y = torch.arange(n) % K
    return Batch(x, y, torch.arange(n), x_target=x_target, y_target=(y + 1) % K)


def perturbed(
    model: nn.Module | None = None, batch: Batch | None = None, **fields: Any
) -> Perturbed:
    batch = batch or batch_of()
    return Metamer(**fields).perturb(model or Bijection(), batch, PerExample("task", batch.index))


def exact_net() -> Bijection:
    return Bijection().double().requires_grad_(False)


def exact(batch: Batch | None = None, **fields: Any) -> Tensor:
    result = perturbed(batch=batch, **fields).exact
    assert result is not None
    return result


def test_the_logits_are_those_of_the_source_and_the_nuisance_that_of_the_target() -> None:
    net, batch = exact_net(), batch_of()
    semantic, nuisance = net.encode(exact())
    torch.testing.assert_close(semantic, net.encode(batch.x.double())[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(nuisance, net.encode(batch.targets.double())[1], rtol=0, atol=1e-9)
    assert (net(exact()) - net(batch.targets.double())).abs().amax(1).min() > 1e-3


def test_if_the_code_is_the_pixels_only_the_logits_differ_from_the_target() -> None:
    batch, x_adv = batch_of(), perturbed(Reversal()).x_adv
    assert torch.equal(x_adv.flatten(1)[:, : D - K], batch.targets.flatten(1)[:, : D - K])
    assert torch.equal(x_adv.flatten(1)[:, D - K :], batch.x.flatten(1)[:, D - K :])


def test_x_adv_is_exact_rounded_to_float32() -> None:
    x_adv = perturbed().x_adv
    assert (exact().dtype, x_adv.dtype) == (torch.float64, torch.float32)
    assert torch.equal(exact().float(), x_adv)
    assert not torch.equal(exact(), x_adv.double())


@pytest.mark.parametrize(
    "fields", [{"partner": "self"}, {"partner": "target"}], ids=["self", "same images"]
)
def test_with_its_own_nuisance_the_source_is_returned(fields: dict[str, str]) -> None:
    batch = replace(batch_of(), x_target=batch_of().x)
    torch.testing.assert_close(exact(batch, **fields), batch.x.double(), rtol=0, atol=1e-9)


def test_the_control_needs_no_target() -> None:
    batch = replace(batch_of(), x_target=None, y_target=None)
    assert not Metamer(partner="self").wants_target
    assert Metamer().wants_target
    torch.testing.assert_close(perturbed(batch=batch, partner="self").x_adv, batch.x)


def test_swapping_twice_returns_the_original() -> None:
    batch = batch_of()
    # the logits of x with the nuisance of the target, and vice versa
    there = exact(batch)
    back = exact(replace(batch, x=batch.targets, x_target=batch.x))
    again = exact(replace(batch, x=there, x_target=back))
    torch.testing.assert_close(again, batch.x.double(), rtol=0, atol=1e-9)


def test_swapping_nuisances_within_a_batch_keeps_its_set_of_logits() -> None:
    net, x = exact_net(), batch_of().x
    swapped = exact(replace(batch_of(), x_target=x.roll(5, dims=0)))
    before, after = (net(images).sort(dim=0).values for images in (x.double(), swapped))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-9)


def test_the_path_keeps_the_logits_and_interpolates_the_nuisance() -> None:
    net, batch, result = exact_net(), batch_of(), perturbed(steps=4, keep_path=True)
    assert result.path is not None
    assert result.path.shape == (5, *batch.x.shape)
    assert torch.equal(result.path[-1], result.x_adv)
    torch.testing.assert_close(result.path[0], batch.x)
    (semantic, start), (_, end) = net.encode(batch.x.double()), net.encode(batch.targets.double())
    for k, vertex in enumerate(result.path):
        here = net.encode(vertex.double())
        # the path is stored in float32
        torch.testing.assert_close(here[0], semantic, rtol=0, atol=1e-5)
        torch.testing.assert_close(here[1], torch.lerp(start, end, k / 4), rtol=0, atol=1e-5)


def test_the_metamer_is_the_same_with_and_without_its_path() -> None:
    assert torch.equal(exact(steps=7, keep_path=True), exact())
    assert perturbed(steps=7).path is None


def test_a_pass_in_either_direction_is_a_forward() -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, 3),
        ({"partner": "self"}, 2),
        ({"steps": 4, "keep_path": True}, 7),
    ]
    for fields, passes in cases:
        result = perturbed(**fields)
        assert result.forwards.tolist() == [passes] * N
        assert not result.backwards.any()


def test_metamers_are_not_clamped() -> None:
    batch = replace(batch_of(), x=5 * batch_of().x)
    assert perturbed(batch=batch).x_adv.max() > 1
    assert Metamer.leaves_bounds


def test_the_net_stays_in_float32() -> None:
    net = Bijection()
    perturbed(net)
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in net.parameters())


def test_the_cards_are_the_metamer_and_its_interpolation() -> None:
    assert make("attack", "metamer", {}) == Metamer(partner="target", steps=1, keep_path=False)
    assert make("attack", "metamer_interpolation", {}) == Metamer(steps=10, keep_path=True)
    assert Metamer().accepts is Bijective


# ─ fully invertible RevNets ───────────────────────────────────────────────────────────────────────

SPHERES = FullyConnectedFiRevNet()
SMALL, WHOLE = FiRevNet(blocks=2, width=8), FiRevNet()
AFFINE = FiRevNet(blocks=2, width=8, coupling="affine", readout="dct")


def revnet(model: Model, shape: Shape) -> BijectiveNet:
    """A net with perturbed couplings: at initialisation they are the identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = model.build(shape, classes=10)
        for weight in net.parameters():
            weight.data += 0.02 * torch.randn_like(weight)
    assert isinstance(net, BijectiveNet)
    return net.eval().requires_grad_(False)


def pairs_of(shape: Shape, n: int = 4) -> Batch:
    x, x_target = torch.rand(2, n, *shape, generator=torch.Generator().manual_seed(0))
    return Batch(
        x, torch.arange(n), torch.arange(n), x_target=x_target, y_target=torch.arange(n).roll(1)
    )


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        pytest.param(SPHERES, (1, 1, 100), id="spheres"),
        pytest.param(SMALL, (1, 32, 32), id="additive"),
        pytest.param(AFFINE, (1, 32, 32), id="affine"),
        pytest.param(WHOLE, (1, 32, 32), id="3x16", marks=pytest.mark.slow),
    ],
)
def test_metamers_of_revnets_have_the_logits_of_their_sources(model: Model, shape: Shape) -> None:
    net, batch = revnet(model, shape), pairs_of(shape)
    result = perturbed(net, batch).exact
    assert result is not None
    logits = [
        in_double(net)(images) for images in (result, batch.x.double(), batch.targets.double())
    ]
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-9)
    assert torch.equal(logits[0].argmax(1), logits[1].argmax(1))
    # the target has other logits
    assert (logits[1] - logits[2]).abs().amax() > 1e-3
    back = perturbed(net, batch, partner="self").exact
    torch.testing.assert_close(back, batch.x.double(), rtol=0, atol=1e-9)


# ─ trained nets ───────────────────────────────────────────────────────────────────────────────────

TRAINED = FiRevNet(stages=2, blocks=2, width=8, site=(0, 0))
GIVEN_LOGITS = TRAINED.model_copy(update={"nuisance_given_logits": True})
SMALL_SHAPE, SMALL_CLASSES = (1, 16, 16), 4


def few_steps(model: Model, x: Tensor, y: Tensor, classes: int) -> BijectiveNet:
    """A net trained on one batch by likelihood and cross-entropy, so that all parts change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = model.build((x.shape[1], x.shape[2], x.shape[3]), classes).train()
    assert isinstance(net, BijectiveNet)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(8):
        semantic, nuisance, log_det = net.encode_with_log_det(x)
        bits = (nuisance.square().sum(1) / 2 - log_det).mean() / x[0].numel()
        optimiser.zero_grad()
        (F.cross_entropy(semantic, y) + bits).backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


@cache
def trained(model: FiRevNet) -> BijectiveNet:
    batch = trained_pairs()
    return few_steps(model, batch.x, batch.y, SMALL_CLASSES)


def trained_pairs() -> Batch:
    pairs = pairs_of(SMALL_SHAPE, n=8)
    y = pairs.y % SMALL_CLASSES
    return replace(pairs, y=y, y_target=(y + 1) % SMALL_CLASSES)


def swapped(net: BijectiveNet, x: Tensor, x_target: Tensor) -> Tensor:
    result = perturbed(net, replace(trained_pairs(), x=x, x_target=x_target)).exact
    assert result is not None
    return result


NETS = pytest.mark.parametrize(
    "model", [TRAINED, GIVEN_LOGITS], ids=["additive", "nuisance given logits"]
)


@NETS
def test_metamers_of_trained_nets_have_the_logits_of_their_sources(model: FiRevNet) -> None:
    net, batch = trained(model), trained_pairs()
    metamers = swapped(net, batch.x, batch.targets)
    logits = [
        in_double(net)(images) for images in (metamers, batch.x.double(), batch.targets.double())
    ]
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-9)
    assert (logits[1] - logits[2]).abs().amax(1).min() > 1e-3
    assert (metamers - batch.x).abs().amax((1, 2, 3)).min() > 0.01


@NETS
def test_swapping_twice_returns_the_original_of_trained_nets(model: FiRevNet) -> None:
    net, batch = trained(model), trained_pairs()
    there, back = swapped(net, batch.x, batch.targets), swapped(net, batch.targets, batch.x)
    torch.testing.assert_close(swapped(net, there, back), batch.x.double(), rtol=0, atol=1e-9)


@NETS
def test_swapping_nuisances_within_a_batch_keeps_the_set_of_logits_of_trained_nets(
    model: FiRevNet,
) -> None:
    net, x = trained(model), trained_pairs().x
    before, after = (
        in_double(net)(images).sort(dim=0).values
        for images in (x.double(), swapped(net, x, x.roll(3, 0)))
    )
    torch.testing.assert_close(after, before, rtol=0, atol=1e-9)


def test_the_last_map_of_a_trained_net_depends_on_the_logits() -> None:
    """Otherwise the two nets above would be the same."""
    net = trained(GIVEN_LOGITS)
    assert isinstance(net, MappedNet)
    last = net.last
    assert (
        min(
            weight.abs().max().item()
            for weight in (last.shift, last.log_scale, last.lower.tril(-1))
        )
        > 1e-3
    )


def test_the_class_of_metamers_of_spheres_never_changes() -> None:
    dataset = Spheres(train=64, test=64)
    (training,), (batch,) = dataset.load("train").batches(64), dataset.load("test").batches(64)
    net = in_double(few_steps(FullyConnectedFiRevNet(hidden=32), training.x, training.y, classes=2))
    other = batch.take(torch.stack([(batch.y != y).nonzero()[0, 0] for y in batch.y]))
    result = perturbed(net, replace(batch, x_target=other.x, y_target=other.y)).exact
    assert result is not None
    label = net(batch.x.double()).argmax(1)
    assert 0 < label.double().mean() < 1
    assert torch.equal(net(result).argmax(1), label)
