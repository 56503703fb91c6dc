from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.fgsm import FGSM
from invspec.data import Batch
from invspec.kinds import Standardised
from invspec.ops.draws import PerExample
from invspec.ops.losses import cross_entropy
from invspec.ops.norms import steepest
from invspec.ops.types import Norm


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3))


def batch() -> Batch:
    x = 0.5 + 0.1 * torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.tensor([0, 1, 2, 0]), torch.arange(4))


def gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(cross_entropy(model(leaf), y).sum(), leaf)[0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_is_one_step_along_the_steepest_ascent(norm: Norm) -> None:
    model, clean = net(), batch()
    result = FGSM(eps=0.1, norm=norm).perturb(model, clean, PerExample("task", clean.index))
    expected = clean.x + 0.1 * steepest(gradient(model, clean.x, clean.y), norm)
    torch.testing.assert_close(result.x_adv, expected, rtol=0, atol=1e-6)
    assert (result.forwards == 1).all()
    assert (result.backwards == 1).all()


def test_fgsm_can_leave_the_predicted_label_instead_of_the_true_one() -> None:
    model, clean = net(), batch()
    result = FGSM(eps=0.1, label="predicted").perturb(model, clean, PerExample("task", clean.index))
    expected = clean.x + 0.1 * gradient(model, clean.x, model(clean.x).argmax(1)).sign()
    torch.testing.assert_close(result.x_adv, expected, rtol=0, atol=1e-6)
    assert (result.forwards == 2).all()


def test_standardised_units_need_a_model_that_standardises() -> None:
    assert FGSM(eps_space="standardised").accepts is Standardised
    assert FGSM().accepts is None
