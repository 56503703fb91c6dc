"""Promises of every attack, parametrised over the cards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Attack, Bijective, TwoLayer
from invspec.models.two_layer import TwoLayerNet
from invspec.ops.draws import PerExample
from invspec.perform.proxies import Padded
from invspec.registry.cards import names
from invspec.registry.methods import make
from invspec.search.ball import Ball

SHAPE, CLASSES = (2, 8, 8), 4
# Foolbox is an extra
ATTACKS = [name for name in names("attack") if name != "foolbox" or find_spec("foolbox")]
every_attack = pytest.mark.parametrize("name", ATTACKS)
pytestmark = pytest.mark.usefixtures("one_thread")


class Passes:
    """Number of examples that passed a net or a copy of it, since a copy saves no pass."""

    def __init__(self) -> None:
        self.forwards = self.backwards = 0

    def __deepcopy__(self, memo: object) -> Passes:
        return self


class Toy(nn.Module):
    """A small convolutional net that standardises its input and counts the examples that pass."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(2, 8, 3, stride=2),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(72, CLASSES),
            )
        self.pixel_std = torch.tensor([0.25, 0.5])
        self.passes = Passes()
        self.register_forward_hook(self._count_forward)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((x - 0.5) / self.pixel_std.view(1, -1, 1, 1))

    def _count_forward(self, module: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        self.passes.forwards += len(logits)
        # a hook on the input: a loss of intermediate features does not use the logits
        if inputs[0].requires_grad:
            inputs[0].register_hook(self._count_backward)

    def _count_backward(self, gradient: Tensor) -> None:
        self.passes.backwards += len(gradient)


class TwoLayerToy(Toy):
    """One hidden layer, for attacks that use its weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = TwoLayerNet(math.prod(SHAPE), 12, CLASSES)
        self.hidden_weight, self.hidden_bias = self.layers.hidden_weight, self.layers.hidden_bias
        self.output_weight, self.output_bias = self.layers.output_weight, self.layers.output_bias

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class BijectiveToy(Toy):
    """Two additive couplings, for attacks that invert a net; either direction is a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        half = math.prod(SHAPE) // 2
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.ModuleList([nn.Linear(half, half), nn.Linear(half, half)])

    def forward(self, x: Tensor) -> Tensor:
        return self._code(x)[:, :CLASSES]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.passes.forwards += len(x)
        code = self._code(x)
        return code[:, :CLASSES], code[:, CLASSES:]

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.encode(x), x.new_zeros(len(x))

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        self.passes.forwards += len(semantic)
        a, b = torch.cat([semantic, nuisance], dim=1).chunk(2, dim=1)
        a = a - self.layers[1](b).tanh()
        b = b - self.layers[0](a).tanh()
        return torch.cat([a, b], dim=1).view(-1, *SHAPE)

    def _code(self, x: Tensor) -> Tensor:
        a, b = x.flatten(1).chunk(2, dim=1)
        b = b + self.layers[0](a).tanh()
        a = a + self.layers[1](b).tanh()
        return torch.cat([a, b], dim=1)


TOYS: dict[type | None, type[Toy]] = {TwoLayer: TwoLayerToy, Bijective: BijectiveToy}


def toy_for(name: str) -> Toy:
    return TOYS.get(attack_of(name).accepts, Toy)()


def deployed(name: str) -> Toy:
    return toy_for(name).eval().requires_grad_(False)


def batch_of(n: int) -> Batch:
    """Images with many pixels at the ends of their range, where attacks most easily leave it."""
    generator = torch.Generator().manual_seed(1)
    x = (2 * torch.rand(n, *SHAPE, generator=generator) - 0.5).clamp(0, 1)
    y = torch.randint(CLASSES, (n,), generator=generator)
    x_target = torch.rand(n, *SHAPE, generator=generator)
    ends = torch.stack([torch.arange(n), torch.arange(n).flip(0)], dim=1)
    return Batch(x, y, torch.arange(n), x_target=x_target, y_target=(y + 1) % CLASSES, ends=ends)


def attack_of(name: str) -> Attack:
    """The attack with at most four steps and restarts, on which its promises do not depend."""
    attack = cast(
        Attack, make("attack", name, {"params": {"steps": 2}} if name == "foolbox" else {})
    )
    few = {
        field: min(4, getattr(attack, field))
        for field in ("steps", "restarts")
        if hasattr(attack, field)
    }
    return attack.smoke().model_copy(update=few)


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
