"""Two images have the same probabilities just where their logits differ by a constant: Algorithm 2
rests on this.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.logit_space import LogitSpace
from invspec.data import Batch
from invspec.ops.draws import PerExample

BARE = {"probability_weight": 0, "tv_weight": 0}
FLAT = torch.zeros(6, 1, 2, 2, dtype=torch.float64)  # a perturbation without variation


def logits(seed: int) -> Tensor:
    return 3 * torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shift", [-40.0, 0.3, 12.0])
def test_a_constant_added_to_all_logits_changes_no_probability_and_costs_nothing(
    shift: float,
) -> None:
    clean = logits(0)
    torch.testing.assert_close((clean + shift).softmax(1), clean.softmax(1), rtol=0, atol=1e-12)
    for weight in (0, 1):
        loss = LogitSpace(probability_weight=weight, tv_weight=0).loss(clean + shift, clean, FLAT)
        assert loss.abs().max() < 1e-24 + 1e-12  # squares of rounding


def test_the_best_shift_costs_nothing_only_where_the_probabilities_are_equal() -> None:
    clean, other = logits(0), logits(1)
    loss = LogitSpace(**BARE).loss(other, clean, FLAT)
    assert (loss > 1e-6).all()
    assert ((other.softmax(1) - clean.softmax(1)).abs().amax(1) > 1e-6).all()


def test_the_best_shift_is_the_best_of_all_constants() -> None:
    clean, other = logits(0), logits(1)
    least = LogitSpace(**BARE).loss(other, clean, FLAT)
    tried = torch.stack(
        [
            LogitSpace(h=h, **BARE).loss(other, clean, FLAT)
            for h in torch.arange(-9, 9, 0.01).tolist()
        ]
    )
    assert (least <= tried.amin(0) + 1e-12).all()
    torch.testing.assert_close(tried.amin(0), least, rtol=1e-3, atol=5 * 0.005**2)


@pytest.mark.parametrize("h", ["optimal", "zero"])
def test_at_x_itself_the_objective_and_its_gradient_are_0(h: Any) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 5)).double()
    x = torch.rand(6, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    loss = LogitSpace(h=h, **BARE).loss(net(x), net(x).detach(), x - x.detach())
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert loss.abs().max() == 0
    assert gradient.abs().max() == 0


def test_a_shorter_step_at_the_end_leads_to_equal_probabilities() -> None:
    """Three logits of a full-rank linear model on nine free pixels: the objective has no minimum
    but 0.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3)).double().requires_grad_(False)
    x = torch.rand(8, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    batch = Batch(x, torch.zeros(8, dtype=torch.int64), torch.arange(8), bounds=(-10.0, 10.0))
    attack = LogitSpace(
        optimiser="adam", schedule="milestones", step_size=0.1, tv_weight=0, steps=400
    )
    x_adv = attack.perturb(net, batch, PerExample("task", batch.index)).x_adv
    torch.testing.assert_close(net(x_adv).softmax(1), net(x).softmax(1), rtol=0, atol=1e-4)
    assert (x_adv - x).abs().flatten(1).amax(1).min() > 0.3  # though the images are far apart
