"""On a linear model the nearest adversarial image is known: the gap to each class over the dual
norm of w_k - w_y.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.ddn import DDN
from invspec.attacks.deepfool import DeepFool
from invspec.attacks.fmn import FMN
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.norms import DUAL, size
from invspec.ops.types import Bounds, Norm

N, PIXELS = 32, (1, 4, 4)
ANYWHERE: Bounds = (-torch.inf, torch.inf)
EXACT, ROUNDING = (
    0.01,
    1e-5,
)  # of the distance: what is asked for, and what x_adv - x in float32 may lose


class Linear(nn.Module):
    """logits = x W' + b with W (K, D); in float64 and by sums, so that only the attack can be
    inexact.
    """

    def __init__(self, weight: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.weight, self.bias = weight.double(), bias

    def forward(self, x: Tensor) -> Tensor:
        return x.double().flatten(1) @ self.weight.T + torch.tensor(
            [0.0, self.bias, *[0.0] * (len(self.weight) - 2)]
        )


def weights(classes: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(classes, 16, generator=torch.Generator().manual_seed(2))


BINARY = Linear(torch.cat([torch.zeros(1, 16), weights(1)]))
MULTICLASS, CONFIDENT = Linear(weights(4)), Linear(weights(4, scale=10))


def correct(model: nn.Module, bounds: Bounds = ANYWHERE) -> Batch:
    x = torch.rand(N, *PIXELS, generator=torch.Generator().manual_seed(1))
    return Batch(x, model(x).argmax(1), torch.arange(N), bounds)


def faces(model: Linear, batch: Batch, norm: Norm) -> Tensor:
    """Distance (N, K) of every x to where class k gets level with its label; of the label itself,
    inf.
    """
    logits, label = model(batch.x), batch.y.unsqueeze(1)
    apart = size(
        (model.weight.unsqueeze(0) - model.weight[batch.y].unsqueeze(1)).flatten(0, 1), DUAL[norm]
    )
    return ((logits.gather(1, label) - logits) / apart.view_as(logits)).scatter(1, label, torch.inf)


def excess(attack: Any, model: Linear, batch: Batch) -> Tensor:
    """By which share of the exact distance the attack's own is larger, (N,); what was found must be
    adversarial.
    """
    x_adv = attack.perturb(model, batch, PerExample("task", batch.index)).x_adv
    assert (model(x_adv).argmax(1) != batch.y).all()
    return (
        size(x_adv.double() - batch.x.double(), attack.norm)
        / faces(model, batch, attack.norm).amin(1)
        - 1
    )


def assert_exact(found: Tensor) -> None:
    assert found.min() >= -ROUNDING
    assert found.max() <= EXACT


EVERY_CLASS = [
    DDN(
        rivals=3, refine=16
    ),  # the nearest of these images are 0.001 away, which radii from 1 down are coarse for
    FMN(rivals=3),
    FMN(rivals=3, norm="linf"),
    FMN(
        rivals=3, norm="l1", steps=400
    ),  # after 200 the second largest weight's pixel is not yet back
    DeepFool(),
    DeepFool(norm="linf"),
]
NAMES = [f"{type(attack).__name__} {attack.norm}" for attack in EVERY_CLASS]


@pytest.mark.parametrize(
    "model", [BINARY, MULTICLASS, CONFIDENT], ids=["binary", "multiclass", "confident"]
)
@pytest.mark.parametrize("attack", EVERY_CLASS, ids=NAMES)
def test_an_attack_that_considers_every_class_finds_the_nearest_point_of_a_linear_boundary(
    attack: Any, model: Linear
) -> None:
    assert_exact(excess(attack, model, correct(model)))


AS_PUBLISHED = [
    DDN(refine=16),
    FMN(),
    FMN(norm="linf"),
    FMN(norm="l1", steps=400),
    FMN(refine=0),
    FMN(norm="linf", refine=0),
]


@pytest.mark.parametrize("attack", AS_PUBLISHED, ids=str)
def test_with_two_classes_one_climb_does(attack: Any) -> None:
    assert_exact(excess(attack, BINARY, correct(BINARY)))


@pytest.mark.parametrize(
    "attack",
    [DDN(loss="margin", refine=16), FMN(), FMN(norm="linf"), FMN(norm="l1")],
    ids=NAMES[:4],
)
def test_with_more_one_climb_does_where_the_class_that_leads_at_x_is_also_the_nearest(
    attack: Any,
) -> None:
    batch = correct(MULTICLASS)
    second = MULTICLASS(batch.x).topk(2, dim=1).indices[:, 1]
    led = faces(MULTICLASS, batch, attack.norm).argmin(1) == second
    assert led.sum() >= 8
    assert_exact(excess(attack, MULTICLASS, batch.take(led)))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_without_refinement_deepfool_is_overshoot_away(norm: Any) -> None:
    batch, attack = correct(MULTICLASS), DeepFool(norm=norm, refine=0)
    x_adv = attack.perturb(MULTICLASS, batch, PerExample("task", batch.index)).x_adv
    expected = 1.02 * (
        faces(MULTICLASS, batch, norm).amin(1) + 1e-4
    )  # every step is 1e-4 longer than it need be
    torch.testing.assert_close(
        size(x_adv.double() - batch.x.double(), norm), expected, rtol=0, atol=1e-6
    )


def test_levels_cost_at_most_half_a_level_in_every_pixel() -> None:
    batch = correct(MULTICLASS, bounds=(0.0, 1.0))
    x = (255 * batch.x).round() / 255
    batch = Batch(x, MULTICLASS(x).argmax(1), batch.index)
    coarse, fine = (
        DDN(levels=levels).perturb(MULTICLASS, batch, PerExample("task", batch.index)).x_adv
        for levels in (256, None)
    )
    torch.testing.assert_close((255 * coarse).round(), 255 * coarse, rtol=0, atol=1e-4)
    further = size(coarse - x, "l2") - size(fine - x, "l2")
    assert (
        further <= 4 * 0.5 / 255 + 0.02
    ).all()  # sqrt(16) pixels; and two walks that end a step apart


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 16])
@pytest.mark.parametrize("sign", [1, -1])
def test_l0_is_the_count_of_the_largest_weights_that_close_the_gap(count: int, sign: int) -> None:
    """Grey pixels can move by 0.5 either way, so entry i gains |w_i| / 2; the weights are +-16,
    -+15, ... -+1.
    """
    w = torch.arange(16, 0, -1.0) * torch.tensor([1.0, -1.0]).repeat(8)
    x = torch.full((1, *PIXELS), 0.5)
    gains = w.abs().cumsum(0) / 2
    gap = gains[count - 1] - w.abs()[count - 1] / 4  # between what count - 1 and count entries gain
    model = Linear(torch.stack([torch.zeros(16), w]), bias=float(sign * gap - w.sum() / 2))
    batch = Batch(x, model(x).argmax(1), torch.arange(1))
    x_adv = FMN(norm="l0").perturb(model, batch, PerExample("task", batch.index)).x_adv
    assert model(x_adv).argmax(1) != batch.y
    assert (x_adv != x).sum() == count
