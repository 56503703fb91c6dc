"""Nets that draw random numbers are judged as functions of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from workbench import Memory, perturb, score, train

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.measures.top_k_error import TopKError
from invspec.models.linear import Linear
from invspec.models.noisy import Noisy
from invspec.models.temperature import Temperature
from invspec.perform.proxies import deployed, searched
from invspec.perform.random_nets import Averaged

NOISY = train(model=Noisy(model=Linear(), sigma=0.5, passes=4))


class Draws(nn.Module):
    """Logits (B, 2) that are one draw for the whole batch, or one for each image."""

    def __init__(self, each: bool) -> None:
        super().__init__()
        self.each, self.sizes = each, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        drawn = torch.randn(len(x) if self.each else 1).expand(len(x)).unsqueeze(1)
        return torch.cat([drawn, -drawn], 1) + 0 * x.flatten(1)[:, :1]


def images(n: int = 6) -> Tensor:
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("each", [True, False])
def test_an_image_gets_the_same_logits_whatever_is_beside_it(each: bool) -> None:
    net, x = Averaged(Draws(each), passes=3), images()
    logits = net(x)
    torch.rand(5)
    assert net(x).equal(logits)
    assert torch.cat([net(x[:1]), net(x[1:])]).equal(logits)
    assert net(x.flip(0)).flip(0).equal(logits)


@pytest.mark.parametrize("each", [True, False])
def test_different_images_get_different_draws(each: bool) -> None:
    logits = Averaged(Draws(each), passes=3)(images())
    assert len(logits[:, 0].unique()) == 6


def test_probabilities_are_means_over_the_passes() -> None:
    net = Draws(each=True)
    averaged = Averaged(net, passes=2000)(images(2)).exp()
    torch.testing.assert_close(averaged.sum(1), torch.ones(2))
    # a standard normal difference of logits, doubled, has the mean probability 1/2
    torch.testing.assert_close(averaged, torch.full((2, 2), 0.5), atol=0.03, rtol=0)
    assert len(net.sizes) == 2 * 2000


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Averaged(Draws(each=True), passes=3)(images())
    assert torch.get_rng_state().equal(before)


def test_a_pixels_last_bit_changes_the_draws() -> None:
    x = images(1)
    moved = x.clone()
    moved[0, 0, 0, 0] = moved[0, 0, 0, 0].nextafter(torch.tensor(2.0))
    net = Averaged(Draws(each=True), passes=1)
    assert not net(x).equal(net(moved))


# ─ tasks ──────────────────────────────────────────────────────────────────────────────────────


def test_attacks_see_the_draws_that_judging_averages() -> None:
    net, x = deployed(NOISY, Memory()), images()
    assert net(x).equal(net(x))
    for precision in ("float32", "bfloat16"):
        found = searched(net, precision)
        assert not found(x).equal(found(x))
        assert found(x).dtype == torch.float32


@pytest.mark.parametrize("batch_size", [3, 20])
def test_batch_size_changes_no_judged_number(batch_size: int) -> None:
    judged, expected = (
        Memory(size).load(perturb(Identity(), NOISY)).tensors for size in (batch_size, 8)
    )
    assert all(judged[name].equal(expected[name]) for name in expected)


def test_measures_see_the_net_that_judged() -> None:
    runtime, attacked = Memory(), perturb(PGD(eps=0.1, steps=3), NOISY)
    rows = runtime.load(score(attacked, measure=TopKError(k=1))).rows
    judged = runtime.load(attacked).tensors
    assert rows is not None
    (row,) = rows
    assert row.outcomes is not None
    assert row.outcomes.values.equal(judged["prediction_adv"] != judged["y"])


def test_more_passes_approach_the_smoothed_net() -> None:
    def confidences(passes: int, **changes: Any) -> Tensor:
        model = Noisy(model=Linear(), sigma=0.5, passes=passes)
        task = perturb(Identity(), replace(NOISY, model=model), **changes)
        return runtime.load(task).tensors["confidence"]

    runtime = Memory()
    # one draw of weights for all numbers of passes
    for passes in (1, 4, 16, 512):
        other = replace(NOISY, model=Noisy(model=Linear(), sigma=0.5, passes=passes))
        runtime.kept[other] = runtime.load(NOISY)
    exact = confidences(512)
    errors = [float((confidences(passes) - exact).abs().mean()) for passes in (1, 4, 16)]
    assert errors == sorted(errors, reverse=True)


def test_a_model_around_a_random_one_is_random() -> None:
    assert Temperature(model=Noisy(passes=5)).random_passes == 5
    assert Temperature().random_passes == 0
