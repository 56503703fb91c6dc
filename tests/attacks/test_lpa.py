from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
import torch
from perceptual_toys import halves, net
from torch import Tensor, nn

from invspec.attacks.lpa import LPA, Best, FastLPA
from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample
from invspec.perceptual.distances import distance
from invspec.registry.methods import make


def attacked(attack: LPA | FastLPA, model: nn.Module, batch: Batch) -> Perturbed:
    return attack.perturb(model, batch, PerExample("key", batch.index))


def wrong(model: nn.Module, x: Tensor, batch: Batch) -> Tensor:
    return model(x).argmax(1) != batch.y


class Counted(nn.Module):
    """Counts the examples that pass through a net, and the gradients with respect to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net(), 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += len(x)
        if x.requires_grad:
            x.register_hook(self._returned)
        return self.net(x)

    def _returned(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@pytest.mark.parametrize("projection", ["bisection", "newton", "none"])
@pytest.mark.parametrize("name", ["laidlaw_self", "l2"])
@pytest.mark.parametrize("kind", [LPA, FastLPA])
def test_every_pass_is_counted(kind: Any, name: Any, projection: Any) -> None:
    model, batch = Counted(), halves()
    result = attacked(
        kind(distance=name, max_distance=0.2, steps=5, projection=projection), model, batch
    )
    assert (int(result.forwards.sum()), int(result.backwards.sum())) == (
        model.forwards,
        model.backwards,
    )


def test_passes_up_to_a_target_margin_are_counted() -> None:
    model, batch = Counted(), halves()
    result = attacked(LPA(max_distance=0.2, steps=5, target_margin=5), model, batch)
    assert (int(result.forwards.sum()), int(result.backwards.sum())) == (
        model.forwards,
        model.backwards,
    )


@pytest.mark.parametrize("projection", ["bisection", "newton"])
@pytest.mark.parametrize("kind", [LPA, FastLPA])
@pytest.mark.parametrize(("name", "bound"), [("laidlaw_self", 0.3), ("l2", 0.8)])
def test_attacks_fool_and_end_within_the_bound(
    kind: Any, name: Any, bound: float, projection: Any
) -> None:
    model, batch = net(), halves()
    assert not wrong(model, batch.x, batch).any()
    x_adv = attacked(
        kind(distance=name, max_distance=bound, projection=projection), model, batch
    ).x_adv
    assert distance(name, model)(x_adv, batch.x).max() <= bound + 1e-5
    assert wrong(model, x_adv, batch).float().mean() > 0.2


def test_with_a_target_margin_lpa_goes_on_after_the_first_error() -> None:
    model, batch = net(), halves()
    plain, confident = (
        attacked(LPA(distance="l2", max_distance=0.8, target_margin=margin), model, batch).x_adv
        for margin in (None, 5.0)
    )
    assert distance("l2", model)(confident, batch.x).max() <= 0.8 + 1e-5
    fooled = wrong(model, plain, batch)
    assert wrong(model, confident, batch)[fooled].all()
    sure, first = (model(x).softmax(1).amax(1)[fooled].mean() for x in (confident, plain))
    assert sure > first + 0.02


def test_the_best_image_inside_the_ball_is_kept() -> None:
    best = Best(torch.zeros(3, 1, 1, 1))
    rows = torch.tensor([0, 2])
    best.offer(torch.ones(2, 1, 1, 1), torch.tensor([1.0, 5.0]), rows, torch.tensor([True, False]))
    best.offer(
        2 * torch.ones(2, 1, 1, 1), torch.tensor([0.5, -3.0]), rows, torch.tensor([True, True])
    )
    assert best.x_adv.flatten().tolist() == [1, 0, 2]
    assert best.found.tolist() == [True, False, True]


def test_lpa_fools_a_linear_model_where_the_boundary_is_nearer_than_the_bound() -> None:
    """The l2 distance to the boundary is the lead of the label over the norm of the gradient."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(64, generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).requires_grad_(False)
    model.get_parameter("1.weight").copy_(torch.stack([-w / 2, w / 2]))
    x = 0.5 + 0.1 * (2 * torch.rand(40, 1, 8, 8, generator=generator) - 1)
    model.get_parameter("1.bias").copy_(torch.stack([w, -w]).mul(0.5).sum(1) / 2)
    y = model(x).argmax(1)
    boundary = (x.flatten(1) - 0.5) @ w / w.norm()
    batch = Batch(x, y, torch.arange(40))
    fooled = wrong(
        model, attacked(LPA(distance="l2", max_distance=0.06), model, batch).x_adv, batch
    )
    assert fooled[boundary.abs() < 0.05].all()
    assert not fooled[boundary.abs() > 0.06 + 1e-5].any()
    assert 5 < fooled.sum() < 35


def test_misclassified_examples_keep_the_start_and_cost_one_backward_pass() -> None:
    model, batch = net(), halves()
    mislabelled = replace(batch, y=1 - batch.y)
    result = attacked(LPA(), model, mislabelled)
    noise = 0.01 * PerExample("key", batch.index).normal(tuple(batch.x.shape))
    assert torch.equal(result.x_adv, (batch.x + noise).clamp(0, 1))
    # the reference, the logits, and whether a projection is needed
    assert result.forwards.tolist() == [3] * 12
    assert result.backwards.tolist() == [1] * 12


def test_examples_that_are_done_do_not_move() -> None:
    model, batch = net(), halves()
    attack = LPA(distance="l2", max_distance=0.8)
    together = attacked(attack, model, batch)
    alone = [attacked(attack, model, batch.take(torch.tensor([row]))) for row in range(12)]
    torch.testing.assert_close(
        torch.cat([result.x_adv for result in alone]), together.x_adv, rtol=0, atol=1e-5
    )
    assert torch.cat([result.forwards for result in alone]).tolist() == together.forwards.tolist()
    assert len(set(together.forwards.tolist())) > 1


def test_the_weight_grows_tenfold_per_round_for_images_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a constant model the loss is the penalty alone, and its gradient shows the weight."""
    seen: list[float] = []

    def gradient(self: Any, loss: Tensor, images: Tensor, rows: Tensor) -> Tensor:
        self.search.passed(backwards=1, positions=rows)
        result = torch.autograd.grad(loss.sum(), images, retain_graph=True)[0]
        seen.append(result.flatten(1).norm(dim=1).max().item())
        return torch.zeros_like(result)

    monkeypatch.setattr("invspec.perceptual.attack.FeatureProbe.gradient", gradient)

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([1.0, 0.0]) + 0 * x.flatten(1)[:, :2]

    batch = Batch(torch.full((3, 1, 8, 8), 0.5), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    attacked(LPA(distance="l2", max_distance=0.001, steps=2, rounds=3), Constant(), batch)
    assert seen == pytest.approx([0.01, 0.01, 0.1, 0.1, 1.0, 1.0], rel=1e-4)


def test_the_first_step_of_fast_lpa_is_as_long_as_the_bound_and_the_last_a_tenth() -> None:
    model, batch = net(), halves()
    lengths: list[float] = []
    before = batch.x
    # the second of two steps is 0.1 ** (1 / 2) as long as the first
    for steps in (1, 2):
        attack = FastLPA(distance="l2", max_distance=0.01, steps=steps)
        x_adv = attacked(attack, model, batch).x_adv
        noise = 0.01 * PerExample("key", batch.index).normal(tuple(batch.x.shape))
        lengths.append(
            (x_adv - before - (noise if steps == 1 else 0)).flatten(1).norm(dim=1).mean().item()
        )
        before = x_adv
    assert lengths == pytest.approx([0.01, 0.01 * 0.1**0.5], rel=1e-3)


@pytest.mark.parametrize("name", ["lpa", "fast_lpa", "ppgd"])
def test_max_distance_0_returns_x_and_skips_the_model(name: str) -> None:
    model, batch, attack = Counted(), halves(), make("attack", name, {"max_distance": 0})
    result = attacked(attack, model, batch)
    assert torch.equal(result.x_adv, batch.x)
    assert (model.forwards, int(result.forwards.sum()), int(result.backwards.sum())) == (0, 0, 0)


def test_smoke_needs_no_download_and_few_steps() -> None:
    cheap = LPA(distance="lpips_alex").smoke()
    assert (cheap.distance, cheap.steps, cheap.rounds) == ("laidlaw_self", 2, 2)
    assert LPA(distance="l2").smoke().distance == "l2"


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA is not set")
@pytest.mark.parametrize(("name", "bound"), [("lpips_alex", 0.03), ("laidlaw_alex", 0.5)])
def test_bounds_hold_in_the_features_of_published_nets(name: Any, bound: float) -> None:
    model, batch = net(), halves()
    x_adv = attacked(LPA(distance=name, max_distance=bound, steps=5), model, batch).x_adv
    assert distance(name)(x_adv, batch.x).max() <= bound + 1e-5
    assert wrong(model, x_adv, batch).any()
