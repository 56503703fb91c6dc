from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.apgd import APGD, Climb, checkpoints
from invspec.data import Batch
from invspec.errors import InvspecError
from invspec.ops.draws import PerExample
from invspec.ops.losses import margin
from invspec.ops.norms import size
from invspec.search.ball import Ball
from invspec.search.search import Search

N, PIXELS, EPS = 12, (1, 4, 4), 0.05
DUAL = {"linf": "l1", "l2": "l2"}


class Linear(nn.Module):
    """logits = x W' + b with W (K, D); records the images of all passes."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight.double(), bias.double()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return x.double().flatten(1) @ self.weight.T + self.bias


def linear(classes: int, lead: float = 3.0) -> Linear:
    """A model in which class 0 leads by `lead`, too much for a small ball if it is 3."""
    weight = torch.randn(classes, 16, generator=torch.Generator().manual_seed(0))
    bias = -weight.sum(1) / 2
    bias[0] += lead
    return Linear(weight, bias)


def batch_of(n: int = N, bounds: tuple[float, float] = (-torch.inf, torch.inf)) -> Batch:
    x = 0.5 + 0.05 * torch.randn(n, *PIXELS, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n), bounds)


def draws(batch: Batch) -> PerExample:
    return PerExample("task", batch.index)


def test_the_checkpoints_of_a_hundred_steps_are_those_of_the_paper() -> None:
    """Intervals of 22, 19, 16, 13, 10, 7, 6 and 6 steps."""
    assert checkpoints(100) == {22: 22, 41: 19, 57: 16, 70: 13, 80: 10, 87: 7, 93: 6, 99: 6}


def test_few_steps_have_a_checkpoint_after_each() -> None:
    assert checkpoints(3) == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("loss", ["ce", "dlr", "dlr_targeted"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_optimum_of_a_linear_model_is_reached(norm: Any, loss: Any) -> None:
    """Only the logit of class 1, the nearest, depends on x: one direction raises every loss."""
    model = linear(4, lead=13.0)
    model.bias[1] += 10
    model.weight[[0, 2, 3]] = 0
    batch = batch_of()
    result = APGD(eps=EPS, norm=norm, loss=loss, targets=1).perturb(model, batch, draws(batch))
    gained = margin(model(result.x_adv), batch.y) - margin(model(batch.x), batch.y)
    best = EPS * size((model.weight[1] - model.weight[0]).unsqueeze(0), DUAL[norm]).expand(N)
    torch.testing.assert_close(gained, best, rtol=0, atol=1e-5)


def test_an_ascent_on_a_line_by_hand() -> None:
    """f(z) = -|z - 0.5| within [0.1, 0.9], from 0.4, with a first step size of 0.8.

    Step 1, without momentum: 0.4 + 0.8, clipped to 0.9; f falls.
    Step 2, f' = -1: 0.9 - 0.75 * 0.8 + 0.25 * 0.5 = 0.425; f rises.
    Step 3, f' = 1: 0.425 + 0.75 * 0.475 - 0.25 * 0.475 = 0.6625; f falls.
    One rise in three is too few: back to 0.425, with step size 0.4.
    Step 4: 0.425 + 0.75 * 0.4 = 0.725, since step 3 also started at 0.425.
    """
    batch = Batch(torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, dtype=torch.int64), torch.arange(1))
    start = torch.full((1, 1, 1, 1), 0.4)
    search, ball = Search(nn.Flatten(), batch), Ball("linf", 0.4, (0.0, 1.0))
    climb = Climb.of(start, batch.y, step_size=0.8)
    visited: list[float] = []
    for step in range(5):
        climb.record(search.evaluate(lambda z, y: -(z[:, 0] - 0.5).abs(), climb.x_adv))
        visited.append(float(climb.x_adv))
        if step == 3:
            climb.adapt(3)
            assert (float(climb.x_adv), float(climb.step_size)) == pytest.approx((0.425, 0.4))
        climb.move(ball, batch.x, momentum=0.75 if step else 1.0)
    assert visited == pytest.approx([0.4, 0.9, 0.425, 0.6625, 0.725])


@pytest.mark.parametrize(
    ("rises", "halved", "improved", "expected"),
    [
        (3, True, True, True),
        (4, True, True, False),
        (4, True, False, False),
        (4, False, False, True),
    ],
    ids=["too few rises", "enough rises", "no improvement, but just halved", "no improvement"],
)
def test_when_a_step_size_is_halved(
    rises: int, halved: bool, improved: bool, expected: bool
) -> None:
    """In an interval of four steps, of which more than three quarters have to raise the loss."""
    batch = batch_of(1)
    climb = Climb.of(batch.x, batch.y, step_size=1.0)
    climb.rises, climb.halved = torch.tensor([rises]), torch.tensor([halved])
    climb.highest = torch.tensor([1.0])
    climb.highest_before = torch.tensor([0.0 if improved else 1.0])
    climb.adapt(4)
    assert (climb.halved.item(), climb.step_size.item()) == (expected, 0.5 if expected else 1.0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_run_starts_at_a_random_image_of_length_eps(norm: Any) -> None:
    model, batch = linear(3), batch_of()
    APGD(eps=EPS, norm=norm, steps=1).perturb(model, batch, draws(batch))
    start = model.seen[1]
    torch.testing.assert_close(
        size(start - batch.x, norm), torch.full((N,), EPS), rtol=0, atol=1e-6
    )
    assert len(start.unique(dim=0)) == N


def test_the_first_run_starts_at_the_result_for_a_smaller_ball() -> None:
    model, batch = linear(3), batch_of()
    warm = Batch(batch.x, batch.y, batch.index, batch.bounds, start=batch.x + 0.01)
    APGD(eps=EPS, steps=1, restarts=2).perturb(model, warm, draws(batch))
    assert torch.equal(model.seen[1], warm.start)
    assert not torch.equal(model.seen[3], warm.start)


def test_each_run_costs_one_forward_pass_more_than_its_steps() -> None:
    model, batch = linear(4), batch_of()
    result = APGD(eps=EPS, steps=5, restarts=2, loss="dlr_targeted").perturb(
        model, batch, draws(batch)
    )
    assert (result.forwards == 1 + 3 * 2 * 6).all()
    assert (result.backwards == 3 * 2 * 5).all()


def test_misclassified_examples_stay_as_they_are() -> None:
    model, batch = linear(3, lead=-30.0), batch_of()
    result = APGD(eps=EPS).perturb(model, batch, draws(batch))
    assert torch.equal(result.x_adv, batch.x)
    assert (int(result.forwards.sum()), int(result.backwards.sum())) == (N, 0)


def test_an_example_leaves_with_its_first_misclassified_image() -> None:
    model, batch = linear(3, lead=1.0), batch_of(60)
    result = APGD(eps=0.06).perturb(model, batch, draws(batch))
    fooled = model(result.x_adv).argmax(1) != batch.y
    assert 0 < fooled.sum() < len(batch)
    assert (result.forwards[~fooled] == 102).all()
    assert (result.forwards[fooled] < 102).all()
    assert margin(model(result.x_adv), batch.y)[~fooled].max() <= 0


def test_target_classes_are_in_the_order_of_their_logits_at_x() -> None:
    model, batch = linear(5), batch_of()
    attack = APGD(loss="dlr_targeted", targets=2)
    logits = model(batch.x)
    targets = torch.stack(attack._targets(logits, batch.y), dim=1)
    assert torch.equal(targets, logits.argsort(1, descending=True)[:, 1:3])


def test_a_loss_of_more_logits_than_classes_is_refused() -> None:
    batch = batch_of()
    with pytest.raises(InvspecError, match="four classes, the model has 3"):
        APGD(loss="dlr_targeted").perturb(linear(3), batch, draws(batch))


def test_norm_l1_is_refused() -> None:
    with pytest.raises(ValidationError, match="'linf' or 'l2'"):
        APGD.model_validate({"norm": "l1"})
