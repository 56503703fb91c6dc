from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.pgd_conf import PGDConf
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.losses import confidence, margin
from invspec.ops.norms import DUAL, size
from invspec.ops.types import Norm

N, PIXELS, EPS = 12, (1, 4, 4), 0.05
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")


class Linear(nn.Module):
    """logits = x W' + b with W (K, D), in float64; records the images of all passes."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight.double(), bias.double()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return x.double().flatten(1) @ self.weight.T + self.bias


def linear(classes: int = 2, lead: float = 0.0) -> Linear:
    """Class 0 leads by `lead` at a grey image, on average."""
    weight = torch.randn(classes, 16, generator=torch.Generator().manual_seed(0))
    bias = -weight.sum(1) / 2
    bias[0] += lead
    return Linear(weight, bias)


def batch_of(n: int = N, bounds: tuple[float, float] = (-torch.inf, torch.inf)) -> Batch:
    x = 0.5 + 0.05 * torch.randn(n, *PIXELS, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n), bounds)


def attacked(attack: PGDConf, model: nn.Module, batch: Batch) -> Tensor:
    return attack.perturb(model, batch, PerExample("task", batch.index)).x_adv


@pytest.mark.parametrize("start", ["zero", "random"])
@pytest.mark.parametrize("norm", NORMS)
def test_a_binary_margin_of_a_linear_model_falls_by_eps_times_the_dual_norm(
    norm: Norm, start: Any
) -> None:
    model, batch = linear(), batch_of()
    x_adv = attacked(
        PGDConf(eps=EPS, norm=norm, steps=200, step_size=EPS, start=start), model, batch
    )
    gained = margin(model(x_adv), batch.y) - margin(model(batch.x), batch.y)
    best = EPS * size((model.weight[1] - model.weight[0]).unsqueeze(0), DUAL[norm]).expand(N)
    torch.testing.assert_close(gained, best, rtol=0, atol=1e-5)


def test_the_linf_optimum_is_reached_where_the_box_cuts_the_ball() -> None:
    model, batch = linear(), batch_of(bounds=(0.45, 0.55))
    batch = Batch(batch.x.clamp(*batch.bounds), batch.y, batch.index, batch.bounds)
    rising = (model.weight[1] - model.weight[0]).sign().view(PIXELS)
    optimum = (batch.x + EPS * rising).clamp(*batch.bounds).float()
    x_adv = attacked(PGDConf(eps=EPS, steps=100, step_size=0.01), model, batch)
    torch.testing.assert_close(x_adv, optimum, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_a_probability_that_underflows_still_has_a_useful_gradient(norm: Norm) -> None:
    """Class 0 leads by 200: in float32 the probability of the other class, exp(-200), is 0."""
    model, batch = linear(lead=200), batch_of()
    single = nn.Sequential(model, _Float32())
    assert (single(batch.x).softmax(1)[:, 1] == 0).all()
    x_adv = attacked(PGDConf(eps=EPS, norm=norm, steps=50, step_size=0.02), single, batch)
    gained = margin(model(x_adv), batch.y) - margin(model(batch.x), batch.y)
    best = EPS * size((model.weight[1] - model.weight[0]).unsqueeze(0), DUAL[norm])
    assert (gained > 0.9 * best).all()


class _Float32(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits.float()


class Tent(nn.Module):
    """Logits 0 and -10 |x - 0.56| of one pixel; records the pixel of all passes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.item())
        height = -10 * (x.flatten(1) - 0.56).abs()
        return torch.cat([torch.zeros_like(height), height], dim=1)


def test_a_run_on_a_tent_by_hand() -> None:
    """From 0.4 with steps of 0.2, halved when refused; the average of the signs has momentum 0.5.

    Average 1/2, to 0.5. Average 3/4, to 0.65: refused, so steps of 0.1.
    The average moves on to 7/8, from 0.5 to 0.5875, beyond the maximum.
    Average -1/16, to 0.58125. Average -17/32, to 0.528125: refused.
    """
    model, batch = Tent(), Batch(torch.full((1, 1, 1, 1), 0.4), torch.tensor([0]), torch.arange(1))
    attack = PGDConf(eps=0.5, steps=5, step_size=0.2, momentum=0.5, backtracking=2)
    x_adv = attacked(attack, model, batch)
    assert model.seen == pytest.approx([0.4, 0.5, 0.65, 0.5875, 0.58125, 0.528125])
    assert x_adv.item() == pytest.approx(0.58125)


@pytest.mark.parametrize("norm", NORMS)
def test_the_answer_is_the_best_image_on_the_way(norm: Norm) -> None:
    """Steps of ten times the radius, on three classes: many are refused."""
    model, batch = linear(classes=3), batch_of()
    x_adv = attacked(
        PGDConf(eps=EPS, norm=norm, steps=20, step_size=10 * EPS, start="random"), model, batch
    )
    values = torch.stack([confidence(model(x), batch.y) for x in model.seen.copy()])
    torch.testing.assert_close(confidence(model(x_adv), batch.y), values.amax(0))


def test_restarts_never_lower_the_confidence_and_each_costs_a_run() -> None:
    model, batch = linear(classes=4), batch_of()
    once = PGDConf(eps=EPS, steps=3, start="uniform_norm")
    thrice = once.model_copy(update={"restarts": 3})
    result = thrice.perturb(model, batch, PerExample("task", batch.index))
    first, best = (
        confidence(model(x), batch.y) for x in (attacked(once, model, batch), result.x_adv)
    )
    assert (best >= first).all()
    assert (best > first).any()
    assert (result.forwards.unique().tolist(), result.backwards.unique().tolist()) == (
        [3 * 4],
        [3 * 3],
    )


def starts(start: Any, norm: Norm = "linf", n: int = 300) -> Tensor:
    """Perturbations (B, D) at the start of a run."""
    model, batch = linear(), batch_of(n)
    attacked(PGDConf(eps=EPS, norm=norm, steps=1, start=start), model, batch)
    return (model.seen[0] - batch.x).flatten(1)


@pytest.mark.parametrize("norm", NORMS)
def test_start_uniform_norm_has_lengths_uniform_up_to_eps(norm: Norm) -> None:
    """Of 300 uniform numbers the mean is within 5 standard errors of a half, 0.083."""
    lengths = size(starts("uniform_norm", norm), norm) / EPS
    assert lengths.max() <= 1 + 1e-5
    assert lengths.mean().item() == pytest.approx(0.5, abs=0.083)


def test_start_gaussian_has_the_deviation_eps_over_twice_the_logarithm_of_the_pixels() -> None:
    """5 standard errors of 4,800 draws are 5 %; the ball, at 5.5 deviations, clips none of them."""
    delta = starts("gaussian")
    assert delta.std().item() == pytest.approx(EPS / (2 * math.log(16)), rel=0.05)


def test_start_random_takes_each_of_the_three_for_a_third_of_the_examples() -> None:
    """5 standard errors of 300 draws are 0.136."""
    delta = starts("random")
    zero = (delta == 0).all(1)
    assert zero.float().mean().item() == pytest.approx(1 / 3, abs=0.136)
    gaussian = starts("gaussian")
    same = (delta == gaussian).all(1)
    assert same.float().mean().item() == pytest.approx(1 / 3, abs=0.136)


def test_start_zero_is_x() -> None:
    assert (starts("zero") == 0).all()


def test_a_sweep_is_not_warm_started() -> None:
    """The most confident error of a larger ball is another one."""
    assert PGDConf.sweep_field is None


def test_restarts_from_zero_are_refused() -> None:
    with pytest.raises(ValidationError, match="with start zero all 3 restarts are equal"):
        PGDConf(restarts=3)
