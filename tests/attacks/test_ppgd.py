from __future__ import annotations

from typing import Any

import pytest
import torch
from perceptual_toys import halves, linear_probe, net, probe_of
from torch import nn

from invspec.attacks.ppgd import PPGD, Jacobian, conjugate_gradients
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.norms import size
from invspec.perceptual.distances import distance


def test_conjugate_gradients_solve_a_linear_system_in_as_many_steps_as_unknowns() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    probe = linear_probe(matrix, n=3)
    images = probe.batch.x.clone().requires_grad_()
    jacobian = Jacobian(probe, images, probe.embedding(images))
    target = torch.randn(3, 1, 2, 2, generator=generator, dtype=torch.float64)
    v, change = conjugate_gradients(jacobian, target, 4)
    expected = torch.linalg.solve(matrix.T @ matrix, target.flatten(1).T).T
    torch.testing.assert_close(v.flatten(1), expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(change, expected @ matrix.T, rtol=1e-6, atol=1e-8)


def test_more_iterations_than_unknowns_and_vanished_gradients_do_no_harm() -> None:
    probe = linear_probe(torch.eye(4), n=2)
    images = probe.batch.x.clone().requires_grad_()
    target = torch.zeros(2, 1, 2, 2)
    target[0, 0, 0, 0] = 1
    v, _ = conjugate_gradients(Jacobian(probe, images, probe.embedding(images)), target, 6)
    torch.testing.assert_close(v, target, rtol=1e-3, atol=1e-6)


def test_the_first_order_step_is_the_best_one_of_its_length_in_features() -> None:
    """Among all v with ||A v|| = length, (A'A)^-1 w raises w'x most, by length * ||A^-T w||."""
    matrix = torch.diag(torch.tensor([1.0, 2.0, 4.0, 0.5]))
    # the margin at x is 0, where the attack has a gradient
    w = torch.tensor([[0.4, -0.1, 0.2, 0.3], [-0.2, 0.5, 0.4, 0.1]])
    linear = nn.Linear(4, 2, bias=False)
    linear.weight.data = w.clone()
    probe = linear_probe(matrix, n=1, model=nn.Sequential(nn.Flatten(), linear))
    attack = PPGD(max_distance=0.05, steps=5, distance="l2")
    step = (attack._moved(probe, probe.batch.x) - probe.batch.x).flatten(1)
    assert size(step @ matrix.T, "l2").item() == pytest.approx(0.02, rel=1e-3)
    rise = step @ (w[1] - w[0])
    assert rise.item() == pytest.approx(
        0.02 * ((w[1] - w[0]) / matrix.diag()).norm().item(), rel=1e-3
    )


@pytest.mark.parametrize("projection", ["bisection", "newton"])
@pytest.mark.parametrize(("name", "bound"), [("laidlaw_self", 0.3), ("l2", 0.8)])
def test_it_fools_within_its_bound_and_counts_every_pass(
    name: Any, bound: float, projection: Any
) -> None:
    model, batch = net(), halves()
    attack = PPGD(max_distance=bound, distance=name, projection=projection)
    result = attack.perturb(model, batch, PerExample("key", batch.index))
    assert distance(name, model)(result.x_adv, batch.x).max() <= bound + 1e-5
    before = (model(batch.x).argmax(1) == batch.y).float().mean()
    after = (model(result.x_adv).argmax(1) == batch.y).float().mean()
    assert after < before - 0.2
    if name == "l2":
        assert (result.forwards == 5).all()
        assert (result.backwards == 5).all()
    elif projection == "bisection":
        assert result.backwards.tolist() == [5 * 6] * len(batch)
        assert result.forwards.min() >= 1 + 5 * 7
        assert result.forwards.max() <= 1 + 5 * 17


def test_where_the_lead_exceeds_1_nothing_moves() -> None:
    class Sure(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([0 * x.flatten(1).sum(1), 9 + x.flatten(1).sum(1)], dim=1)

    batch = Batch(torch.full((2, 1, 2, 2), 0.5), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    probe = probe_of(Sure(), batch, "l2")
    assert torch.equal(PPGD(distance="l2")._moved(probe, batch.x), batch.x)


def test_smoke_needs_no_download_and_few_steps() -> None:
    cheap = PPGD(distance="lpips_alex").smoke()
    assert (cheap.distance, cheap.steps) == ("laidlaw_self", 2)
