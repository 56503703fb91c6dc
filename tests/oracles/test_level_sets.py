"""Walks along level sets with a known end: linear logits, two layers without flips, digits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from invspec.attacks.lst import LST
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.null_step import NullStep
from invspec.attacks.pgd import PGD
from invspec.data import Batch, Perturbed
from invspec.layers.two_layer import Weights
from invspec.models.two_layer import TwoLayerNet
from invspec.ops.draws import PerExample, Stream
from invspec.ops.norms import size
from invspec.ops.nullspace import alpha_max, null_component, row_space
from invspec.ops.types import Bounds
from invspec.scoring.paths import verify_path
from invspec.search.target_walk import TargetWalk

ANYWHERE: Bounds = (-torch.inf, torch.inf)


def walked(attack: TargetWalk, model: nn.Module, batch: Batch) -> Perturbed:
    return attack.perturb(model, batch, PerExample("task", batch.index))


# ─ linear logits ──────────────────────────────────────────────────────────────────────────────────

N, D = 24, 16
W = torch.randn(D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


class Binary(nn.Module):
    """f = sigmoid(w . x) for label 1, with logits (0, w . x)."""

    def forward(self, x: Tensor) -> Tensor:
        score = x.flatten(1) @ W
        return torch.stack([torch.zeros_like(score), score], dim=1)


def linear_pairs() -> Batch:
    """Sources of label 1, and targets, without pixel bounds."""
    generator = torch.Generator().manual_seed(1)
    x, x_target = (
        torch.randn(N, 1, 4, 4, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    x = torch.where((x.flatten(1) @ W > 0)[:, None, None, None], x, -x)
    return Batch(x, torch.ones(N, dtype=torch.int64), torch.arange(N), ANYWHERE, x_target=x_target)


def on_the_level(batch: Batch) -> Tensor:
    """x_t - (w . (x_t - x) / ||w||^2) w, the point of the level set of x nearest to the target."""
    along = (batch.targets - batch.x).flatten(1) @ W / (W @ W)
    return batch.targets - (along[:, None] * W).view_as(batch.x)


def rises(batch: Batch) -> Tensor:
    return (batch.targets - batch.x).flatten(1) @ W >= 0


LINEAR = [
    NSPGD(step_mode="unit", step_size=0.1, max_drop=1e-9),
    NSPGD(step_mode="fraction", step_size=0.2, steps=1000, max_drop=1e-9),
    NSPGD(step_mode="fraction", step_size=0.2, steps=1000, max_drop=1e-9, clamp="input"),
]


@pytest.mark.parametrize("attack", LINEAR, ids=["unit", "fraction", "input"])
def test_one_sided_ends_on_the_level_set_or_if_confidence_rises_on_the_target(
    attack: NSPGD,
) -> None:
    batch = linear_pairs()
    rising = rises(batch)
    assert rising.any()
    assert not rising.all()
    result = walked(attack, Binary(), batch).x_adv
    expected = torch.where(rising[:, None, None, None], batch.targets, on_the_level(batch))
    torch.testing.assert_close(
        result, expected, rtol=0, atol=1e-13
    )  # 8.5e-15 but for how often it is rounded


@pytest.mark.parametrize(
    "attack",
    [
        *(attack.model_copy(update={"projection": "two_sided"}) for attack in LINEAR),
        LST(step_size=0.1, max_drop=1e-9, nudge=0, random_start=0),
    ],
    ids=["unit", "fraction", "input", "lst"],
)
def test_two_sided_ends_on_the_level_set(attack: TargetWalk) -> None:
    batch = linear_pairs()
    result = walked(attack, Binary(), batch).x_adv
    torch.testing.assert_close(result, on_the_level(batch), rtol=0, atol=1e-13)
    before, after = (Binary()(x).softmax(1) for x in (batch.x, result))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-13)


@pytest.mark.parametrize("projection", ["none", "printed"])
def test_without_a_projection_the_walk_ends_where_it_has_lost_max_drop(
    projection: Any,
) -> None:
    batch = linear_pairs()
    attack = NSPGD(projection=projection, step_size=0.05, max_drop=0.05, backtracks=30, steps=2000)
    result = walked(attack, Binary(), batch).x_adv
    way, gone = batch.targets - batch.x, result - batch.x
    share = (way * gone).flatten(1).sum(1) / (way * way).flatten(1).sum(1)
    torch.testing.assert_close(gone, share[:, None, None, None] * way, rtol=0, atol=1e-12)
    confidence, score = ((x.flatten(1) @ W) for x in (batch.x, way))
    floor = torch.special.logit((confidence.sigmoid() - 0.05).clamp_min(0))
    expected = torch.where(score < 0, (floor - confidence) / score, 1).clamp(max=1)
    torch.testing.assert_close(share, expected, rtol=0, atol=1e-6)


# ─ two layers ─────────────────────────────────────────────────────────────────────────────────────


def test_without_flips_two_sided_ends_at_the_closed_form_of_two_layers() -> None:
    """With two classes M is the difference of two rows; near targets cause no flip."""
    generator = torch.Generator().manual_seed(4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = TwoLayerNet(D, 24, 2).requires_grad_(False)
    weights = Weights.of(net)
    x, away = (torch.randn(N, D, dtype=torch.float64, generator=generator) for _ in range(2))
    ends: list[Tensor] = []
    nearby = torch.empty_like(x)
    for row, (source, v) in enumerate(zip(x, away, strict=True)):
        a = weights.w1 @ source + weights.b1
        v = (
            0.5 * alpha_max(a, weights.w1 @ v) * v
        )  # half of the way to the first flip, and so is its projection
        by_logit = weights.w2[:, a > 0] @ weights.w1[a > 0]
        v_p = null_component(v, row_space(by_logit[1:] - by_logit[:1]))
        v = v * min(1.0, 0.9 * alpha_max(a, weights.w1 @ v_p).item())
        nearby[row] = source + v
        ends.append(source + null_component(v, row_space(by_logit[1:] - by_logit[:1])))
    images, targets = x.view(N, 1, 4, 4), nearby.view(N, 1, 4, 4)
    batch = Batch(
        images, torch.zeros(N, dtype=torch.int64), torch.arange(N), ANYWHERE, x_target=targets
    )
    attack = NSPGD(
        projection="two_sided", step_mode="fraction", step_size=0.2, steps=1000, max_drop=1e-6
    )
    result = walked(attack, net, batch).x_adv
    torch.testing.assert_close(result.flatten(1), torch.stack(ends), rtol=0, atol=1e-12)
    torch.testing.assert_close(net(result).softmax(1), net(images).softmax(1), rtol=0, atol=1e-13)


def test_a_walk_ends_at_least_as_near_as_the_null_step_of_two_layers() -> None:
    """The exact step keeps all logits and units; the walk keeps one confidence, and may bend."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = TwoLayerNet(D, 24, 2).requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    x, x_target = (
        torch.randn(N, 1, 4, 4, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    batch = Batch(
        x, torch.zeros(N, dtype=torch.int64), torch.arange(N), ANYWHERE, x_target=x_target
    )
    exact = NullStep(clamp=False).perturb(net, batch, PerExample("task", batch.index)).x_adv
    walk = walked(NSPGD(step_mode="fraction", max_drop=0.05, steps=300), net, batch).x_adv
    distances = [size(result - x_target, "l2").mean() for result in (walk, exact)]
    assert distances[0] < distances[1]


# ─ digits ─────────────────────────────────────────────────────────────────────────────────────────


def digits() -> tuple[Tensor, Tensor]:
    images, y = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)


def trained(eps: float) -> nn.Module:
    """64-256-256-10, on the first 1,200 digits; half of every batch adversarial where eps > 0."""
    x, y = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
        net = nn.Sequential(nn.Flatten(), *layers)
    optimiser, rng = torch.optim.Adam(net.parameters(), 1e-3), Stream("digits")
    attack = PGD(eps=eps, steps=5, random_start=False)
    for _ in range(15):
        for rows in rng.permutation(1200).split(100):
            batch = Batch(x[rows], y[rows], rows)
            x_adv = attack.perturb(net, batch, PerExample("train", rows)).x_adv if eps else batch.x
            optimiser.zero_grad()
            (
                F.cross_entropy(net(batch.x), batch.y) + F.cross_entropy(net(x_adv), batch.y)
            ).backward()
            optimiser.step()
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def normal() -> nn.Module:
    return trained(0)


@pytest.fixture(scope="module")
def robust() -> nn.Module:
    return trained(0.1)


def cross_class(*models: nn.Module) -> Batch:
    """Pairs of different classes from the other digits, correctly classified by every model."""
    x, y = (part[1200:] for part in digits())
    right = torch.stack(
        [torch.ones_like(y).bool(), *(model(x).argmax(1) == y for model in models)]
    ).all(0)
    x, y = x[right], y[right]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    other = y[order] != y
    x, y, x_target = x[other][:150], y[other][:150], x[order][other][:150]
    return Batch(x, y, torch.arange(len(x)), x_target=x_target)


def remaining(attack: NSPGD, model: nn.Module, batch: Batch) -> Tensor:
    """||x - x_t|| / ||x_s - x_t||, (B,)."""
    result = walked(attack, model, batch).x_adv
    return size(result - batch.targets, "l2") / size(batch.x - batch.targets, "l2")


PAPER = NSPGD(steps=700, backtracks=0)


@pytest.mark.slow
def test_projecting_leaves_less_distance_than_the_printed_formula(
    normal: nn.Module,
) -> None:
    batch = cross_class(normal)
    distances = {
        projection: remaining(PAPER.model_copy(update={"projection": projection}), normal, batch)
        for projection in ("one_sided", "two_sided", "none", "printed")
    }
    assert distances["one_sided"].mean() < distances["none"].mean() - 0.1
    assert distances["one_sided"].mean().item() == pytest.approx(
        distances["two_sided"].mean().item(), abs=0.02
    )
    torch.testing.assert_close(distances["printed"], distances["none"], rtol=0, atol=5e-4)


@pytest.mark.slow
def test_walks_get_nearer_to_the_target_on_a_normal_model_than_on_a_robust_one(
    normal: nn.Module, robust: nn.Module
) -> None:
    batch = cross_class(normal, robust)
    means = {
        (name, attack.projection): remaining(attack, model, batch).mean()
        for name, model in (("normal", normal), ("robust", robust))
        for attack in (PAPER, PAPER.model_copy(update={"projection": "none"}))
    }
    assert means["normal", "one_sided"] < means["robust", "one_sided"]
    assert means["normal", "none"] < means["robust", "none"]


@pytest.mark.slow
def test_halved_steps_get_nearer_still(normal: nn.Module) -> None:
    batch = cross_class(normal)
    halved = PAPER.model_copy(update={"backtracks": 5})
    assert remaining(halved, normal, batch).mean() < remaining(PAPER, normal, batch).mean()


@pytest.mark.slow
def test_leaving_out_pixels_at_a_bound_keeps_the_walk_going(
    normal: nn.Module,
) -> None:
    """Digits on a black background of eight times as many pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        noise = 0.05 * torch.randn(64, 512)

    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            centre = x[:, :, 8:16, 8:16]
            border = x.flatten(1)[:, outside]
            return normal(centre + (border @ noise.T).view_as(centre))

    frame = torch.ones(24, 24, dtype=torch.bool)
    frame[8:16, 8:16] = False
    outside = frame.flatten()
    batch = cross_class(normal)
    wide = replace(
        batch, x=F.pad(batch.x, (8, 8, 8, 8)), x_target=F.pad(batch.targets, (8, 8, 8, 8))
    )
    held, free = (
        remaining(PAPER.model_copy(update={"free_coordinates": free}), Wide(), wide).mean()
        for free in (False, True)
    )
    assert free < held - 0.05


def test_paths_on_digits_are_valid() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
        ).requires_grad_(False)
    for weight in net.parameters():
        weight.mul_(5)
    batch = cross_class()
    batch = replace(batch, y=net(batch.x).argmax(1))
    probs = net(batch.x).softmax(1)
    for attack in (
        NSPGD(steps=100, step_size=0.05, keep_path=True),
        LST(steps=50, step_size=0.05, keep_path=True),
    ):
        path = walked(attack, net, batch).path
        assert path is not None
        result = verify_path(
            path.transpose(0, 1), net, probs.argmax(1), probs.amax(1), attack.max_drop
        )
        assert result.min_margin.min() >= -1e-6
        if isinstance(attack, NSPGD):
            assert result.max_step.max() <= 0.05 + 1e-6
