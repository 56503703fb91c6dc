"""The state of a target walk: accepted and refused steps, gradients, passes and the path."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch, PathPromise, Perturbed
from invspec.ops.draws import Draws
from invspec.search.target_walk import TargetWalk, Walk, confidence_in, has_arrived


class Straight(TargetWalk):
    """Tries the target at once in every step."""

    steps: int = 100

    @property
    def most_steps(self) -> int:
        return self.steps

    @property
    def path_promise(self) -> PathPromise:
        return PathPromise(max_drop=self.max_drop, longest_step=None, jumps=False)

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        walk = Walk(self, model, batch)
        while walk.active:
            walk.attempt(walk.x_target.clone())
        return walk.result()


class Sigmoid(nn.Module):
    """Two classes; the log-odds of class 0 are 4 (x - 1/2)."""

    def forward(self, x: Tensor) -> Tensor:
        odds = 4 * (x.flatten(1).sum(1) - 0.5)
        return torch.stack([odds, torch.zeros_like(odds)], dim=1)


def column(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def batch() -> Batch:
    """Sources of class 0 at 0.8 and of class 1 at 0.2, with targets at the other side."""
    return Batch(
        column(0.8, 0.2),
        torch.tensor([1, 1]),
        torch.arange(2),
        x_target=column(0.1, 0.9),
        y_target=torch.tensor([1, 0]),
    )


def walk_of(**fields: Any) -> Walk:
    return Walk(Straight(**{"steps": 3, "max_drop": 0.1, **fields}), Sigmoid(), batch())


def sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def test_a_walk_starts_at_x_with_the_predicted_label_and_the_gradient_of_its_log_odds() -> None:
    walk = walk_of()
    assert torch.equal(walk.x, batch().x)
    assert walk.label.tolist() == [0, 1]
    confidence = sigmoid(4 * 0.3)
    assert walk.confidence.tolist() == pytest.approx([confidence] * 2)
    assert walk.doubt.tolist() == pytest.approx([1 - confidence] * 2)
    assert walk.gradient.flatten().tolist() == pytest.approx([4.0, -4.0])


def test_only_steps_that_lose_little_confidence_are_taken() -> None:
    walk = walk_of(max_drop=0.1)
    # confidence at a distance d beyond 1/2 is sigmoid(4 d): 0.77, then 0.73 and 0.65
    accepted = walk.attempt(column(0.75, 0.35))
    assert accepted.tolist() == [True, False]
    assert walk.x.flatten().tolist() == pytest.approx([0.75, 0.2])
    assert walk.doubt.tolist() == pytest.approx([1 - sigmoid(1.0), 1 - sigmoid(1.2)])
    # drops are measured from the source and not from the last image
    assert walk.attempt(column(0.68, 0.25)).tolist() == [True, True]
    assert walk.attempt(column(0.62, 0.25)).tolist() == [False, True]


def test_strict_walks_refuse_a_loss_of_exactly_the_limit() -> None:
    for strict in (False, True):
        walk = walk_of(max_drop=0, strict=strict)
        accepted = walk.attempt(batch().x)
        assert accepted.tolist() == [not strict] * 2


def test_a_nan_is_never_accepted() -> None:
    assert walk_of(max_drop=1).attempt(column(float("nan"), 0.2)).tolist() == [False, True]


def test_a_step_is_brought_into_the_pixel_bounds() -> None:
    walk = walk_of()
    walk.attempt(column(7.0, -7.0))
    assert walk.x.flatten().tolist() == [1.0, 0.0]


def test_with_clamped_input_the_walk_may_leave_the_bounds_that_the_model_sees() -> None:
    walk = Walk(Straight(steps=2), Sigmoid(), batch(), clamp_input=True)
    walk.attempt(column(7.0, 0.1))
    assert walk.x.flatten().tolist() == pytest.approx([7.0, 0.1])
    assert walk.visible.flatten().tolist() == pytest.approx([1.0, 0.1])
    # a clamped pixel has no influence
    assert walk.gradient.flatten().tolist() == pytest.approx([0.0, -4.0])
    assert walk.result().x_adv.flatten().tolist() == pytest.approx([1.0, 0.1])


def test_the_last_step_needs_no_gradient() -> None:
    result = Straight(steps=3, max_drop=0).perturb(Sigmoid(), batch(), None)
    assert result.forwards.tolist() == [1 + 3] * 2
    assert result.backwards.tolist() == [1 + 2] * 2
    # the targets are of the other class, so no step was taken
    assert torch.equal(result.x_adv, batch().x)


def test_a_walk_goes_on_with_some_examples_and_the_others_keep_their_image() -> None:
    walk = walk_of(max_drop=1)
    walk.attempt(column(0.75, 0.25))
    memory = walk.narrow(torch.tensor([False, True]), torch.tensor([10, 20]))
    assert memory.tolist() == [20]
    assert walk.label.tolist() == [1]
    assert walk.x_target.flatten().tolist() == pytest.approx([0.9])
    assert walk.gradient.flatten().tolist() == pytest.approx([-4.0])
    walk.attempt(column(0.3))
    result = walk.result()
    assert result.x_adv.flatten().tolist() == pytest.approx([0.75, 0.3])
    assert result.forwards.tolist() == [2, 3]
    assert torch.equal(walk.narrow(torch.tensor([True]), memory), memory)


def test_a_walk_ends_with_its_steps_or_its_examples() -> None:
    walk = walk_of(steps=2)
    assert walk.active
    walk.attempt(batch().x)
    assert walk.active
    walk.attempt(batch().x)
    assert not walk.active
    walk = walk_of()
    walk.narrow(torch.tensor([False, False]), torch.zeros(2))
    assert not walk.active


def test_a_path_has_x_and_the_image_after_every_step() -> None:
    walk = walk_of(steps=2, keep_path=True)
    walk.attempt(column(0.75, 0.35))
    walk.attempt(column(0.7, 0.15))
    path = walk.result().path
    assert path is not None
    assert path.flatten(1).T.tolist() == [
        pytest.approx([0.8, 0.75, 0.7]),
        pytest.approx([0.2, 0.2, 0.15]),
    ]
    assert walk_of().result().path is None


def test_a_jump_is_no_step_and_is_refused_like_one() -> None:
    walk = walk_of(max_drop=0.1)
    walk.jump(column(0.75, 0.35))
    assert walk.x.flatten().tolist() == pytest.approx([0.75, 0.2])
    refused = walk.result().start_refused
    assert refused is not None
    assert refused.tolist() == [False, True]
    assert walk.steps_left == 3


def test_examples_leave_when_their_own_steps_have_run_out() -> None:
    walk = walk_of(max_drop=1, steps=50)
    walk.limit(torch.tensor([1, 2]))
    walk.attempt(column(0.75, 0.25))
    stay = torch.tensor([True, True])
    assert walk.narrow(stay, torch.tensor([10, 20])).tolist() == [20]
    assert walk.active
    walk.attempt(column(0.9))
    walk.narrow(stay[:1], stay[:1])
    assert not walk.active
    result = walk.result()
    # the second one has reached its target
    assert result.ran_out is not None
    assert result.ran_out.tolist() == [True, False]
    assert result.forwards.tolist() == [2, 3]
    # a pass gives a gradient for the next step, whichever example it is that takes one
    assert result.backwards.tolist() == [2, 3]


def test_a_walk_that_stops_does_not_run_out() -> None:
    walk = walk_of(max_drop=1, steps=2)
    walk.attempt(column(0.75, 0.25))
    walk.narrow(torch.tensor([False, True]), torch.zeros(2))
    walk.attempt(column(0.3))
    result = walk.result()
    assert result.ran_out is not None
    assert result.ran_out.tolist() == [False, True]
    assert result.start_refused is None


def test_a_walk_has_arrived_when_a_hundredth_of_its_way_is_left() -> None:
    x, x_target = column(0.0, 0.0, 0.5), column(1.0, 1.0, 0.5)
    arrived = has_arrived(x, column(0.985, 0.995, 0.5), x_target)
    # a source that equals its target is there
    assert arrived.tolist() == [False, True, True]


def test_only_a_walk_that_keeps_its_path_has_vertices() -> None:
    assert Straight(steps=7).path_vertices == 0
    assert Straight(steps=7, keep_path=True).path_vertices == 9
    assert Straight().wants_target


def test_the_confidence_in_a_label_is_its_softmax() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]])
    expected = [math.exp(2) / (math.exp(1) + math.exp(3) + math.exp(2)), 1 / 3]
    assert confidence_in(logits, torch.tensor([2, 0])).tolist() == pytest.approx(expected)
