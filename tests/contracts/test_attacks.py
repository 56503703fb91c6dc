"""Promises of every attack, parametrised over the cards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from attack_toys import ATTACKS, CLASSES, Toy, attack_of, batch_of, deployed, toy_for
from torch import Tensor

from invspec.data import Batch
from invspec.kinds import Attack
from invspec.ops.draws import PerExample
from invspec.ops.losses import LOSSES
from invspec.perform.proxies import Padded
from invspec.perform.transformed import NoModel
from invspec.search.ball import Ball

every_attack = pytest.mark.parametrize("name", ATTACKS)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As tasks run on a CPU: the number of threads that share a sum changes its rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@every_attack
def test_an_attack_keeps_shape_dtype_and_bounds(name: str) -> None:
    attack, batch = attack_of(name), batch_of(12)
    x_adv = attack.perturb(deployed(name), batch, PerExample("task", batch.index)).x_adv
    assert (x_adv.shape, x_adv.dtype, x_adv.requires_grad) == (batch.x.shape, batch.x.dtype, False)
    assert attack.leaves_bounds or 0 <= x_adv.min() <= x_adv.max() <= 1


@every_attack
def test_an_attack_leaves_its_input_alone(name: str) -> None:
    batch, before = batch_of(12), batch_of(12).x
    attack_of(name).perturb(deployed(name), batch, PerExample("task", batch.index))
    assert torch.equal(batch.x, before)


@every_attack
def test_an_attack_with_a_budget_stays_in_its_ball(name: str) -> None:
    attack, batch, model = attack_of(name), batch_of(12), deployed(name)
    if getattr(attack, "eps", None) is None:
        pytest.skip("has no budget")
    if attack.leaves_bounds and not hasattr(attack, "norm"):
        pytest.skip("leaves its ball, too")
    standardised = getattr(attack, "eps_space", "pixel") == "standardised"
    unit = model.pixel_std.double().view(1, -1, 1, 1) if standardised else None
    ball = Ball(attack.norm, attack.eps, batch.bounds, unit)
    x_adv = attack.perturb(model, batch, PerExample("task", batch.index)).x_adv
    assert ball.contains(x_adv.double(), batch.x.double(), slack=1e-6).all()


@every_attack
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_an_attack_leaves_weights_gradients_and_mode_alone(name: str, training: bool) -> None:
    batch, model = batch_of(12), toy_for(name).train(training)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {key: value.clone() for key, value in model.named_parameters()}
    attack_of(name).perturb(model, batch, PerExample("task", batch.index))
    assert model.training is training
    for key, value in model.named_parameters():
        assert value.requires_grad
        assert torch.equal(value, before[key])
        assert torch.equal(value.grad, torch.ones_like(value))


@every_attack
def test_the_same_draws_give_the_same_answer(name: str) -> None:
    batch, model = batch_of(12), deployed(name)
    first, second = (
        attack_of(name).perturb(model, batch, PerExample("task", batch.index)) for _ in range(2)
    )
    assert torch.equal(first.x_adv, second.x_adv)


@every_attack
def test_eps_0_returns_x_and_skips_the_model(name: str) -> None:
    attack, batch, model = attack_of(name), batch_of(12), deployed(name)
    if getattr(attack, "eps", None) is None:
        pytest.skip("has no budget")
    point = attack.model_copy(update={"eps": 0.0})
    result = point.perturb(model, batch, PerExample("task", batch.index))
    assert torch.equal(result.x_adv, batch.x)
    assert (int(result.forwards.sum()), int(result.backwards.sum())) == (0, 0)
    assert (model.passes.forwards, model.passes.backwards) == (0, 0)


@every_attack
@pytest.mark.parametrize("composition", ["correct", "mixed", "misclassified", "single"])
def test_reported_passes_are_those_of_the_model(name: str, composition: str) -> None:
    model = deployed(name)
    batch = composed(model, composition)
    reported = count_passes(attack_of(name), model, batch)
    assert tuple(reported.sum(0).tolist()) == (model.passes.forwards, model.passes.backwards)


@every_attack
def test_reported_passes_of_an_example_do_not_depend_on_its_batch(name: str) -> None:
    """With the test above for a single example: passes are right per example, not just in sum."""
    model = deployed(name)
    batch = composed(model, "mixed")
    together = count_passes(attack_of(name), Padded(model), batch)
    rows = torch.arange(len(batch)).split(1)
    alone = [count_passes(attack_of(name), Padded(model), batch.take(row)) for row in rows]
    assert torch.equal(together, torch.cat(alone))


def composed(model: Toy, composition: str) -> Batch:
    """Six examples, or one, that the model classifies correctly, wrongly, or both."""
    batch = batch_of(1 if composition == "single" else 6)
    prediction = model(batch.x).argmax(1)
    wrong = {"mixed": torch.arange(len(batch)) % 2, "misclassified": 1}.get(composition, 0)
    return replace(batch, y=(prediction + wrong) % CLASSES)


def count_passes(attack: Attack, model: Toy | Padded, batch: Batch) -> Tensor:
    """Reported forwards and backwards, (B, 2); those of the model are then in model.passes."""
    model.passes.forwards = model.passes.backwards = 0
    result = attack.perturb(model, batch, PerExample("task", batch.index))
    assert result.forwards.shape == result.backwards.shape == (len(batch),)
    assert result.forwards.dtype == result.backwards.dtype == torch.int64
    return torch.stack([result.forwards, result.backwards], dim=1)


@every_attack
def test_the_answer_for_an_example_does_not_depend_on_its_batch(name: str) -> None:
    attack, examples, model = attack_of(name), batch_of(150), Padded(deployed(name))

    def attacked(batch_size: int) -> Tensor:
        batches = [examples.take(rows) for rows in torch.arange(150).split(batch_size)]
        return torch.cat(
            [
                attack.perturb(model, batch, PerExample("task", batch.index)).x_adv
                for batch in batches
            ]
        )

    together = attacked(150)
    for batch_size in (7, 64):
        assert torch.equal(attacked(batch_size), together)


@every_attack
def test_an_attack_says_whether_it_follows_gradients(name: str) -> None:
    attack, model = attack_of(name), deployed(name)
    batch = composed(model, "correct")
    attack.perturb(model, batch, PerExample("task", batch.index))
    assert (attack.gradient_loss is not None) == (model.passes.backwards > 0)
    assert attack.gradient_loss in (None, *LOSSES)


@every_attack
def test_a_shipped_attack_does_not_leave_its_loss_to_the_base_class(name: str) -> None:
    assert any(
        "gradient_loss" in vars(base)
        for base in type(attack_of(name)).__mro__
        if base is not Attack
    )


@every_attack
def test_an_attack_that_ignores_the_model_runs_without_one(name: str) -> None:
    attack, batch = attack_of(name), batch_of(12)
    if not attack.ignores_model:
        pytest.skip("uses the model")
    perturbed = attack.perturb(NoModel(attack), batch, PerExample("task", batch.index))
    assert perturbed.forwards.sum() == perturbed.backwards.sum() == 0
    assert attack.gradient_loss is None
    assert not attack.wants_target
