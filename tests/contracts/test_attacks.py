"""What every attack promises, whoever wrote it: parametrised over the cards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Attack, Bijective, TwoLayer
from invspec.models.two_layer import TwoLayerNet
from invspec.ops.draws import PerExample
from invspec.ops.norms import size
from invspec.perform.proxies import Padded
from invspec.registry.cards import names
from invspec.registry.methods import make

SHAPE, CLASSES = (2, 8, 8), 4
ATTACKS = [
    name for name in names("attack") if name != "foolbox" or find_spec("foolbox")
]  # an extra
every_attack = pytest.mark.parametrize("name", ATTACKS)
pytestmark = pytest.mark.usefixtures("one_thread")


class Passes:
    """How many examples passed a net, or one of its copies: an attack that copies it spares no pass."""

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
        self.register_forward_hook(self._saw)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((x - 0.5) / self.pixel_std.view(1, -1, 1, 1))

    def _saw(self, module: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        self.passes.forwards += len(logits)
        if inputs[
            0
        ].requires_grad:  # not the logits, which a loss of the features on the way does without
            inputs[0].register_hook(self._returned)

    def _returned(self, gradient: Tensor) -> None:
        self.passes.backwards += len(gradient)


class TwoLayerToy(Toy):
    """One hidden layer, for attacks that work on its weights."""

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
    """Two additive couplings, for attacks that run a net backwards; a pass in either direction is a forward."""

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
    """Images with many pixels at the ends of the range, where an attack is most tempted to leave it."""
    generator = torch.Generator().manual_seed(1)
    x = (2 * torch.rand(n, *SHAPE, generator=generator) - 0.5).clamp(0, 1)
    y = torch.randint(CLASSES, (n,), generator=generator)
    x_target = torch.rand(n, *SHAPE, generator=generator)
    ends = torch.stack([torch.arange(n), torch.arange(n).flip(0)], dim=1)
    return Batch(x, y, torch.arange(n), x_target=x_target, y_target=(y + 1) % CLASSES, ends=ends)


def attack_of(name: str) -> Attack:
    """The attack at a low price, with at most four steps and restarts: what it promises does not depend on it."""
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
    """As tasks run on a CPU: how many threads share a sum changes its rounding."""
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
    unit = model.pixel_std.double().view(1, -1, 1, 1) if standardised else 1.0
    x_adv = attack.perturb(model, batch, PerExample("task", batch.index)).x_adv
    assert (
        size((x_adv.double() - batch.x.double()) / unit, attack.norm) <= attack.eps + 1e-6
    ).all()


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
def test_eps_0_returns_x_and_does_not_ask_the_model(name: str) -> None:
    attack, batch, model = attack_of(name), batch_of(12), deployed(name)
    if getattr(attack, "eps", None) is None:
        pytest.skip("has no budget")
    found = attack.model_copy(update={"eps": 0.0}).perturb(
        model, batch, PerExample("task", batch.index)
    )
    assert torch.equal(found.x_adv, batch.x)
    assert (int(found.forwards.sum()), int(found.backwards.sum()), model.passes.forwards) == (
        0,
        0,
        0,
    )


@every_attack
def test_an_attack_counts_how_often_the_model_saw_each_example(name: str) -> None:
    batch, model = batch_of(12), deployed(name)
    found = attack_of(name).perturb(model, batch, PerExample("task", batch.index))
    assert found.forwards.shape == found.backwards.shape == (12,)
    assert (int(found.forwards.sum()), int(found.backwards.sum())) == (
        model.passes.forwards,
        model.passes.backwards,
    )


@every_attack
def test_the_answer_for_an_example_does_not_depend_on_its_batch(name: str) -> None:
    attack, whole, model = attack_of(name), batch_of(150), Padded(deployed(name))

    def attacked(batch_size: int) -> Tensor:
        batches = [whole.take(rows) for rows in torch.arange(150).split(batch_size)]
        return torch.cat(
            [
                attack.perturb(model, batch, PerExample("task", batch.index)).x_adv
                for batch in batches
            ]
        )

    together = attacked(150)
    for batch_size in (7, 64):
        assert torch.equal(attacked(batch_size), together)
