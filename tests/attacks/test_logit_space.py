from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.attacks.logit_space import LogitSpace
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.losses import total_variation
from invspec.registry.methods import make

N = 60


@pytest.fixture(scope="module")
def blots() -> tuple[nn.Module, Batch]:
    """A perceptron for ten blurred patterns, and sources with targets of the next class."""
    train, test = patterns(600, seed=1), patterns(N, seed=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(256, 48), nn.ReLU(), nn.Linear(48, 10))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(net(train.x), train.y).backward()
        optimiser.step()
    return net.eval().requires_grad_(False), replace(
        test, x_target=test.x.roll(1, 0), y_target=test.y.roll(1)
    )


def patterns(n: int, seed: int) -> Batch:
    """Noisy 16 x 16 images of dark and bright spots four pixels wide; classes alternate."""
    spots = torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y, generator = torch.arange(n) % 10, torch.Generator().manual_seed(seed)
    x = F.interpolate(spots, scale_factor=4.0, mode="bilinear")[y] + 0.1 * torch.randn(
        n, 1, 16, 16, generator=generator
    )
    return Batch(x.clamp(0, 1), y, torch.arange(n))


class Recorder(nn.Module):
    """Records the inputs of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.model(x)


def attacked(attack: Any, model: nn.Module, batch: Batch) -> Tensor:
    return attack.perturb(model, batch, PerExample("task", batch.index)).x_adv


def drop(model: nn.Module, batch: Batch, x_adv: Tensor) -> Tensor:
    """Loss of confidence in the class of x, (B,)."""
    label = model(batch.x).argmax(1, keepdim=True)
    return (model(batch.x).softmax(1) - model(x_adv).softmax(1)).gather(1, label).squeeze(1)


def share_unchanged(model: nn.Module, batch: Batch, x_adv: Tensor) -> float:
    return (model(x_adv).argmax(1) == model(batch.x).argmax(1)).double().mean().item()


def gradient(attack: LogitSpace, model: nn.Module, x_adv: Tensor, batch: Batch) -> Tensor:
    leaf = x_adv.clone().requires_grad_()
    loss = attack.loss(model(leaf), model(batch.x), leaf - batch.x)
    return torch.autograd.grad(loss.sum(), leaf)[0]


def test_the_search_restores_class_and_confidence_that_the_noise_destroyed(
    blots: tuple[nn.Module, Batch],
) -> None:
    model, batch = blots
    recorder = Recorder(model)
    x_adv = attacked(LogitSpace(), recorder, batch)
    start = recorder.seen[1]
    assert drop(model, batch, start).mean() > 0.1
    assert drop(model, batch, x_adv).mean() < 0.02
    assert share_unchanged(model, batch, x_adv) >= 0.98
    assert total_variation(x_adv - batch.x).mean() < total_variation(start - batch.x).mean()


def test_the_printed_ascent_loses_the_class(blots: tuple[nn.Module, Batch]) -> None:
    model, batch = blots
    x_adv = attacked(make("attack", "logit_space_literal", {}), model, batch)
    assert drop(model, batch, x_adv).mean() > 0.9
    assert share_unchanged(model, batch, x_adv) <= 0.1  # the share by chance


def test_the_published_card_gives_many_targets_the_confidence_of_x(
    blots: tuple[nn.Module, Batch],
) -> None:
    model, batch = blots
    attack, recorder = make("attack", "logit_space_published", {}), Recorder(model)
    x_adv = attacked(attack, recorder, batch)
    assert torch.equal(recorder.seen[1], batch.targets)
    assert drop(model, batch, batch.targets).mean() > 0.9
    assert (drop(model, batch, x_adv) < 0.05).double().mean() > 0.5
    assert x_adv.min() >= 40 / 255 - 1e-6
    assert x_adv.max() <= 1 - 40 / 255 + 1e-6


def test_a_search_from_the_target_ends_nearer_to_the_target(blots: tuple[nn.Module, Batch]) -> None:
    model, batch = blots
    images = {
        start: attacked(LogitSpace(start=start), model, batch) for start in ("source", "target")
    }
    assert drop(model, batch, images["target"]).mean() < 0.02
    away = {
        start: (x_adv - batch.targets).flatten(1).norm(dim=1).mean()
        for start, x_adv in images.items()
    }
    assert away["target"] < 0.7 * away["source"]


def test_a_larger_weight_leaves_less_total_variation(
    blots: tuple[nn.Module, Batch],
) -> None:
    model, batch = blots
    rough, smooth = (
        attacked(LogitSpace(tv_weight=weight), model, batch) - batch.x for weight in (0.01, 0.1)
    )
    assert total_variation(smooth).mean() < 0.8 * total_variation(rough).mean()


def test_a_step_is_the_sign_of_the_gradient(blots: tuple[nn.Module, Batch]) -> None:
    model, batch = blots
    attack, recorder = LogitSpace(steps=2), Recorder(model)
    attacked(attack, recorder, batch)
    clean, start, after = recorder.seen
    assert torch.equal(clean, batch.x)
    expected = (start - 0.01 * gradient(attack, model, start, batch).sign()).clamp(0, 1)
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)


def test_the_printed_step_adds_all_of_delta(blots: tuple[nn.Module, Batch]) -> None:
    model, batch = blots
    attack, recorder = make("attack", "logit_space_literal", {"steps": 2}), Recorder(model)
    assert isinstance(attack, LogitSpace)
    attacked(attack, recorder, batch)
    _, start, after = recorder.seen
    delta = start - batch.x + 0.01 * gradient(attack, model, start, batch).sign()
    torch.testing.assert_close(after, (start + delta).clamp(0, 1), rtol=0, atol=1e-6)


def test_the_first_step_of_adam_is_the_learning_rate_long(blots: tuple[nn.Module, Batch]) -> None:
    model, batch = blots
    attack, recorder = LogitSpace(steps=2, optimiser="adam", step_size=0.02), Recorder(model)
    attacked(attack, recorder, batch)
    _, start, after = recorder.seen
    slope = gradient(attack, model, start, batch)
    expected = (start - 0.02 * slope.sign()).clamp(0, 1)
    # where Adam's eps of 1e-8 is negligible
    steep = slope.abs() > 1e-4
    assert steep.double().mean() > 0.9
    torch.testing.assert_close(after[steep], expected[steep], rtol=0, atol=1e-5)


def test_the_random_start_is_uniform_noise_within_the_pixel_range(
    blots: tuple[nn.Module, Batch],
) -> None:
    model, batch = blots
    grey, recorder = Batch(torch.full_like(batch.x, 0.5), batch.y, batch.index), Recorder(model)
    attacked(LogitSpace(steps=1), recorder, grey)
    start = recorder.seen[1]
    inside = start[(start > 0) & (start < 1)]
    # of 15,360 pixels, those with noise in [-1/2, 1/2] stay inside
    assert len(inside) / start.numel() == pytest.approx(0.5, abs=0.02)
    assert inside.mean().item() == pytest.approx(0.5, abs=0.02)


def test_the_step_size_is_divided_by_10_at_half_and_three_quarters(
    blots: tuple[nn.Module, Batch],
) -> None:
    model, batch = blots
    free, recorder = Batch(batch.x, batch.y, batch.index, bounds=(-9.0, 9.0)), Recorder(model)
    attacked(LogitSpace(steps=9, schedule="milestones", step_size=0.1), recorder, free)
    moved = [(later - earlier).abs().max().item() for earlier, later in pairwise(recorder.seen[1:])]
    assert moved == pytest.approx([0.1] * 5 + [0.01] * 2 + [0.001], rel=1e-2)


def test_only_a_search_from_the_target_wants_one() -> None:
    assert LogitSpace(start="target").wants_target
    assert not LogitSpace().wants_target
    assert make("attack", "logit_space_published", {}).wants_target


def test_h_may_be_a_word_or_a_number() -> None:
    assert [make("attack", "logit_space", {"h": h}).h for h in ("optimal", "zero", 1, "1/2")] == [
        *("optimal", "zero", 1.0, 0.5)
    ]
