from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.fab import FAB
from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample
from invspec.ops.hyperplanes import step_to_hyperplane
from invspec.ops.norms import size
from invspec.ops.types import Bounds

N, PIXELS, ANYWHERE = 40, (1, 4, 4), (-torch.inf, torch.inf)
DUAL = {"linf": "l1", "l2": "l2"}
every_norm = pytest.mark.parametrize("norm", ["linf", "l2"])


class Linear(nn.Module):
    """logits = (x - 0.5) W', with W (K, D)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = torch.randn(classes, 16, generator=torch.Generator().manual_seed(0)).double()

    def forward(self, x: Tensor) -> Tensor:
        return (x.double().flatten(1) - 0.5) @ self.weight.T


def predicted(model: nn.Module, bounds: Bounds) -> Batch:
    x = (2 * torch.rand(N, *PIXELS, generator=torch.Generator().manual_seed(1)) - 0.5).clamp(0, 1)
    return Batch(x, model(x).argmax(1), torch.arange(N), bounds)


def attacked(model: nn.Module, batch: Batch, **fields: Any) -> Perturbed:
    return FAB(**fields).perturb(model, batch, PerExample("task", batch.index))


def gaps(model: Linear, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits of all classes but y less that of y, (N, K - 1), and their gradients (N, K - 1, D)."""
    logits, y = model(batch.x), batch.y
    others = torch.stack(
        [torch.tensor([k for k in range(logits.shape[1]) if k != label]) for label in y.tolist()]
    )
    return logits.gather(1, others) - logits.gather(1, y[:, None]), model.weight[
        others
    ] - model.weight[y][:, None]


@every_norm
@pytest.mark.parametrize("classes", [2, 5])
def test_the_distance_to_the_boundary_of_a_linear_model_is_found_to_one_percent(
    norm: Any, classes: int
) -> None:
    model = Linear(classes)
    batch = predicted(model, ANYWHERE)
    gap, normal = gaps(model, batch)
    exact = (gap.abs() / size(normal.flatten(0, 1), DUAL[norm]).view(gap.shape)).amin(1)
    result = attacked(model, batch, norm=norm)
    ratio = size(result.x_adv.double() - batch.x.double(), norm) / exact
    assert (model(result.x_adv).argmax(1) != batch.y).all()
    assert ratio.min() >= 1 - 1e-5
    assert ratio.max() <= 1.01


@every_norm
def test_the_distance_within_the_box_is_found_to_one_percent(norm: Any) -> None:
    """Where the box blocks the straight way, the projection gives the nearest boundary point."""
    model = Linear(2)
    batch = predicted(model, (0.0, 1.0))
    gap, normal = gaps(model, batch)
    way = step_to_hyperplane(
        batch.x.double().flatten(1), gap[:, 0], normal[:, 0], batch.bounds, norm
    )
    exact, straight = size(way, norm), gap[:, 0].abs() / size(normal[:, 0], DUAL[norm])
    assert (exact > 1.05 * straight).any()
    ratio = size(attacked(model, batch, norm=norm).x_adv.double() - batch.x.double(), norm) / exact
    assert ratio.min() >= 1 - 1e-5
    assert ratio.max() <= 1.01


@every_norm
def test_with_eps_only_images_within_it_are_returned(norm: Any) -> None:
    model = Linear(3)
    batch = predicted(model, (0.0, 1.0))
    nearest = attacked(model, batch, norm=norm)
    lengths = size(nearest.x_adv - batch.x, norm)
    eps = float(lengths.median()) * 1.01
    result = attacked(model, batch, norm=norm, eps=eps)
    fooled = model(result.x_adv).argmax(1) != batch.y
    assert torch.equal(fooled, lengths <= eps)
    assert size(result.x_adv - batch.x, norm).max() <= eps
    assert torch.equal(result.x_adv[~fooled], batch.x[~fooled])


def test_with_eps_an_example_leaves_once_it_is_fooled() -> None:
    model = Linear(3)
    batch = predicted(model, (0.0, 1.0))
    without_eps = attacked(model, batch, steps=20)
    result = attacked(model, batch, steps=20, eps=0.2)
    fooled = model(result.x_adv).argmax(1) != batch.y
    assert (without_eps.forwards == 1 + 2 * 2 * 20).all()
    assert (without_eps.backwards == 2 * 20).all()
    assert (result.forwards[fooled] < 81).all()
    assert (result.forwards[~fooled] == 81).all()


def test_misclassified_examples_stay_as_they_are() -> None:
    model = Linear(3)
    batch = predicted(model, (0.0, 1.0))
    wrong = Batch(batch.x, (batch.y + 1) % 3, batch.index)
    result = attacked(model, wrong)
    assert torch.equal(result.x_adv, batch.x)
    assert (result.forwards == 1).all()


class Rings(nn.Module):
    """Two classes that alternate with the distance from mid-grey: the boundary is curved."""

    def forward(self, x: Tensor) -> Tensor:
        wave = torch.sin(12 * (x.flatten(1) - 0.5).square().sum(1, keepdim=True).sqrt())
        return torch.cat([wave, -wave], dim=1)


@every_norm
def test_restarts_only_shorten_the_perturbation(norm: Any) -> None:
    batch = predicted(Rings(), (0.0, 1.0))

    def lengths(restarts: int) -> Tensor:
        result = attacked(Rings(), batch, norm=norm, steps=5, restarts=restarts)
        length = size(result.x_adv - batch.x, norm)
        return length.where(length > 0, torch.inf)  # x is returned if nothing was found

    once, often = lengths(1), lengths(4)
    assert (often <= once).all()
    assert (often < 0.999 * once).any()
