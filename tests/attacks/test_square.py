from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.square import Square, Window, bump, bumps
from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample
from invspec.ops.losses import margin
from invspec.ops.norms import size

N, PIXELS, EPS = 24, (2, 9, 9), {"linf": 0.1, "l2": 0.8}
every_norm = pytest.mark.parametrize("norm", ["linf", "l2"])


class Recorder(nn.Module):
    """A tiny convolutional net that records the images of all passes."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(294, 3)
            )
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.layers(x)


def recorder() -> Recorder:
    return Recorder().eval().requires_grad_(False)


def batch_of(model: nn.Module) -> Batch:
    """Images with the labels that the model predicts."""
    x = (2 * torch.rand(N, *PIXELS, generator=torch.Generator().manual_seed(1)) - 0.5).clamp(0, 1)
    return Batch(x, model(x).argmax(1), torch.arange(N))


def attacked(
    model: nn.Module, batch: Batch, norm: Any, scale: float = 1.0, **fields: Any
) -> Perturbed:
    attack = Square(norm=norm, eps=scale * EPS[norm], **fields)
    return attack.perturb(model, batch, PerExample("task", batch.index))


@every_norm
def test_no_proposal_leaves_the_ball_or_the_box(norm: Any) -> None:
    model = recorder()
    batch = batch_of(model)
    x = batch.x[:1]
    example = Batch(x, batch.y[:1], batch.index[:1])
    model.seen.clear()
    attacked(model, example, norm, scale=0.02, queries=60)
    images = torch.cat(model.seen)
    assert len(images) == 61
    assert 0 <= images.min() <= images.max() <= 1
    assert size(images.double() - x.double(), norm).max() <= 0.02 * EPS[norm] + 1e-7


@every_norm
def test_the_answer_has_the_largest_margin_of_all_proposals(norm: Any) -> None:
    model = recorder()
    batch = batch_of(model)
    example = batch.take(margin(model(batch.x), batch.y).argmin().unsqueeze(0))
    model.seen.clear()
    result = attacked(model, example, norm, scale=0.02, queries=60)
    reached = margin(model(torch.cat(model.seen[1:])), example.y.expand(60))
    assert reached.max() < 0
    torch.testing.assert_close(
        margin(model(result.x_adv), example.y), reached.amax(0, keepdim=True)
    )
    assert reached.max() > reached[0]


@every_norm
def test_more_queries_fool_more_and_an_example_leaves_once_it_is_fooled(norm: Any) -> None:
    model = recorder()
    batch = batch_of(model)
    few, many = (
        attacked(model, batch, norm, scale=0.3, queries=queries, rescale=False)
        for queries in (3, 100)
    )
    early, late = (model(result.x_adv).argmax(1) != batch.y for result in (few, many))
    assert (late | ~early).all()
    assert early.sum() < late.sum() < N
    assert (many.forwards[~late] == 101).all()
    assert (many.forwards[late] < 101).all()
    assert not many.backwards.any()


@every_norm
def test_a_restart_attacks_only_examples_that_are_not_fooled_yet(norm: Any) -> None:
    model = recorder()
    batch = batch_of(model)
    once, twice = (
        attacked(model, batch, norm, scale=0.3, queries=10, restarts=restarts)
        for restarts in (1, 2)
    )
    fooled = model(once.x_adv).argmax(1) != batch.y
    assert torch.equal(twice.x_adv[fooled], once.x_adv[fooled])
    assert (margin(model(twice.x_adv), batch.y) >= margin(model(once.x_adv), batch.y))[
        ~fooled
    ].all()
    assert (twice.forwards[~fooled] > once.forwards[~fooled]).all()


def test_the_start_of_norm_linf_is_vertical_stripes_at_the_ends_of_the_ball() -> None:
    model = recorder()
    batch = batch_of(model)
    inner = Batch(torch.full_like(batch.x, 0.5), batch.y, batch.index)
    model.seen.clear()
    attacked(model, inner, "linf", queries=1)
    correct = model.layers(inner.x).argmax(1) == inner.y
    delta = model.seen[1] - inner.x[correct]
    torch.testing.assert_close(delta.abs(), torch.full_like(delta, EPS["linf"]))
    assert (delta == delta[:, :, :1]).all()
    assert len(delta.unique(dim=0)) == len(delta)


def test_a_proposal_of_norm_linf_changes_one_square_of_each_example() -> None:
    model = recorder()
    batch = Batch(
        torch.full((8, *PIXELS), 0.5),
        recorder()(torch.full((8, *PIXELS), 0.5)).argmax(1),
        torch.arange(8),
    )
    attacked(model, batch, "linf", scale=1e-4, queries=2, area=0.2)
    start, proposal = model.seen[1:3]
    changed = (start != proposal).any(1)  # 9 x 9 pixels, 20 % of which are 4 x 4
    assert changed.any(2).sum(1).max() == 4
    assert changed.any(1).sum(1).max() == 4
    assert len({tuple(square.nonzero()[0].tolist()) for square in changed if square.any()}) > 1


def test_squares_shrink_after_the_papers_numbers_of_proposals() -> None:
    """Of 28 x 28 pixels, 0.8 are 25 x 25, half of that 18 x 18, and so on down to one pixel."""
    numbers = (10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)
    assert [Square(rescale=False)._side(n, 28, 28) for n in numbers] == [
        25,
        18,
        13,
        9,
        6,
        4,
        3,
        2,
        2,
        1,
    ]
    assert [Square(norm="l2", rescale=False)._side(n, 28, 28) for n in numbers] == [
        25,
        19,
        13,
        9,
        7,
        5,
        3,
        3,
        3,
        3,
    ]
    assert [Square(queries=5000)._side(n, 28, 28) for n in (5, 6, 4000, 4001)] == [25, 18, 2, 1]


def test_bumps_by_hand() -> None:
    """1 + 1/4 in the centre and 1/4 beside it; of two rows, the second has the centre."""
    upper = torch.tensor([[0.25, 1.25, 0.25]])
    torch.testing.assert_close(bump(1, 3), upper / upper.norm())
    lower = torch.tensor([[0.25, 0.25, 0.25], [0.25, 1.25, 0.25]])
    torch.testing.assert_close(bump(2, 3), lower / lower.norm())
    torch.testing.assert_close(
        bumps(3), torch.cat([upper / upper.norm(), -lower / lower.norm()]) / 2**0.5
    )
    torch.testing.assert_close(bumps(7).norm(), torch.tensor(1.0))


def test_a_window_may_lie_anywhere_in_the_image() -> None:
    image = torch.zeros(2, 1, 4, 5)
    corners = Window.at(torch.tensor([[0.0, 0.0], [0.999, 0.999]]), 3, image)
    first, last = corners.inside[:, 0]
    assert (first[:3, :3].all(), first.sum()) == (True, 9)
    assert (last[1:, 2:].all(), last.sum()) == (True, 9)
    pattern = corners.bumps(torch.tensor([False, True]))[:, 0]
    assert torch.equal(pattern[0, :3, :3], bumps(3))
    assert torch.equal(pattern[1, 1:, 2:], bumps(3).T)
    assert not pattern[~corners.inside[:, 0]].any()


def test_a_perturbation_of_norm_l2_has_length_eps_away_from_the_box() -> None:
    model = recorder()
    x = torch.full((4, *PIXELS), 0.5)
    batch = Batch(x, model(x).argmax(1), torch.arange(4))
    model.seen.clear()
    attacked(model, batch, "l2", scale=0.01, queries=20)
    for images in model.seen[1:]:
        lengths = size(images.double() - 0.5, "l2")
        torch.testing.assert_close(lengths, torch.full_like(lengths, 0.008), rtol=1e-4, atol=0)


def test_a_smoke_run_has_ten_queries() -> None:
    assert Square().smoke().queries == 10
    assert Square(queries=3).smoke().queries == 3
