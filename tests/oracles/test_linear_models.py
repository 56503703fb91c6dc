"""On a linear model the best perturbation of every norm is known: the margin falls by eps times the
dual norm.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.fgsm import FGSM
from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.kinds import Attack
from invspec.ops.draws import PerExample
from invspec.ops.losses import margin
from invspec.ops.norms import size, steepest
from invspec.ops.types import Bounds, Norm

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}
EPS, N, PIXELS = 0.05, 16, (1, 4, 4)
ANYWHERE: Bounds = (-torch.inf, torch.inf)


class Linear(nn.Module):
    """logits = x W' with W (K, D); in float64 and by sums, so that only the attack can be
    inexact.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight.double()

    def forward(self, x: Tensor) -> Tensor:
        return x.double().flatten(1) @ self.weight.T


def binary(direction: Tensor) -> Linear:
    """Logits 0 and w . x."""
    return Linear(torch.stack([torch.zeros_like(direction), direction]))


def direction(seed: int = 0) -> Tensor:
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


def batch_of(y: Tensor, bounds: Bounds = ANYWHERE) -> Batch:
    x = torch.rand(len(y), *PIXELS, generator=torch.Generator().manual_seed(1))
    return Batch(x, y, torch.arange(len(y)), bounds)


def attacked(attack: Attack, model: nn.Module, batch: Batch) -> Tensor:
    return attack.perturb(model, batch, PerExample("task", batch.index)).x_adv


def drop(model: nn.Module, batch: Batch, x_adv: Tensor) -> Tensor:
    return margin(model(x_adv), batch.y) - margin(model(batch.x), batch.y)


@pytest.mark.parametrize("restarts", [None, 1, 3], ids=["from x", "random start", "three restarts"])
@pytest.mark.parametrize("norm", NORMS)
def test_pgd_lowers_a_binary_margin_by_eps_times_the_dual_norm(
    norm: Norm, restarts: int | None
) -> None:
    """From a random start of an l2 ball the direction converges only geometrically, so it gets
    longer steps.
    """
    w, start = direction(), {"random_start": False} if restarts is None else {"restarts": restarts}
    model, batch = binary(w), batch_of(torch.arange(N) % 2)
    length = {"relative_step_size": 2} if norm == "l2" and restarts else {}
    x_adv = attacked(PGD(eps=EPS, norm=norm, **start, **length), model, batch)
    best = EPS * size(w.double().unsqueeze(0), DUAL[norm]).expand(N)
    torch.testing.assert_close(drop(model, batch, x_adv), best, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_ends_at_the_very_point_that_is_optimal(norm: Norm) -> None:
    w, batch = direction(), batch_of(torch.arange(N) % 2)
    x_adv = attacked(PGD(eps=EPS, norm=norm, random_start=False), binary(w), batch)
    away = torch.where(batch.y == 1, -1.0, 1.0).view(-1, 1, 1, 1)
    optimum = batch.x + EPS * steepest(away * w.view(1, *PIXELS), norm)
    torch.testing.assert_close(x_adv, optimum, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_is_exact_in_its_one_step(norm: Any) -> None:
    w = direction()
    model, batch = binary(w), batch_of(torch.arange(N) % 2)
    best = EPS * size(w.double().unsqueeze(0), DUAL[norm]).expand(N)
    torch.testing.assert_close(
        drop(model, batch, attacked(FGSM(eps=EPS, norm=norm), model, batch)),
        best,
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "attack", [FGSM(eps=0.4), PGD(eps=0.4), PGD(eps=0.4, restarts=2)], ids=["fgsm", "pgd", "twice"]
)
def test_where_the_box_cuts_the_ball_the_linf_optimum_is_still_reached_in_every_pixel(
    attack: Attack,
) -> None:
    w, batch = direction(), batch_of(torch.arange(N) % 2, bounds=(0.0, 1.0))
    away = torch.where(batch.y == 1, -1.0, 1.0).view(-1, 1, 1, 1)
    optimum = (batch.x + 0.4 * (away * w.view(1, *PIXELS)).sign()).clamp(0, 1)
    assert ((optimum == 0) | (optimum == 1)).any()
    torch.testing.assert_close(attacked(attack, binary(w), batch), optimum, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_climbs_to_the_optimum_of_a_multiclass_margin(norm: Norm) -> None:
    """Optimum: the largest over other classes k of the margin to k plus eps times the dual norm of
    w_k - w_y.

    Taken where one class leads all the way: there the margin is linear, and climbing it is exact.
    """
    model, batch = (
        Linear(torch.stack([direction(2), direction(3), 2 * direction(4)])),
        batch_of(torch.zeros(N).long()),
    )
    gaps = model(batch.x)[:, 1:] - model(batch.x)[:, :1]
    reach = EPS * size(model.weight[1:] - model.weight[:1], DUAL[norm])
    led = (gaps.argmax(1) == (gaps + reach).argmax(1)) & (
        (gaps[:, 0] - gaps[:, 1]).abs() > 2 * reach.sum()
    )
    assert led.sum() >= 5
    x_adv = attacked(PGD(eps=EPS, norm=norm, loss="margin", random_start=False), model, batch)
    torch.testing.assert_close(
        margin(model(x_adv), batch.y)[led], (gaps + reach).amax(1)[led], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("norm", NORMS)
def test_a_standardised_budget_is_spent_on_the_weights_as_the_model_sees_them(norm: Norm) -> None:
    """In pixels of two channels with deviations s: the weights of the standardised input are s
    w.
    """
    std = torch.tensor([0.2, 0.5])
    w, x = direction(), torch.rand(N, 2, 2, 4, generator=torch.Generator().manual_seed(1))
    batch = Batch(x, torch.arange(N) % 2, torch.arange(N), ANYWHERE)
    model = binary(w)
    model.pixel_std = std
    seen = (w.view(2, 8) * std.view(2, 1)).flatten()
    attack = PGD(eps=EPS, norm=norm, eps_space="standardised", random_start=False)
    best = EPS * size(seen.double().unsqueeze(0), DUAL[norm]).expand(N)
    torch.testing.assert_close(
        drop(model, batch, attacked(attack, model, batch)), best, rtol=0, atol=1e-6
    )
