"""Small nets, batches and cheap versions of the attacks' cards."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import cast

import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Attack, Bijective, TwoLayer
from invspec.models.two_layer import TwoLayerNet
from invspec.registry.cards import names
from invspec.registry.methods import make

SHAPE, CLASSES = (2, 8, 8), 4
# attacks of libraries that are extras, with the parameter that makes them cheap
FOREIGN = {"art": "max_iter", "foolbox": "steps", "torchattacks": "steps"}
ATTACKS = [name for name in names("attack") if name not in FOREIGN or find_spec(name)]


class Passes:
    """Number of examples that passed a net or a copy of it, since a copy saves no pass."""

    def __init__(self) -> None:
        self.forwards = self.backwards = 0

    def __deepcopy__(self, memo: object) -> Passes:
        return self


class Toy(nn.Module):
    """A small convolutional net that standardises its input and counts the examples that pass."""

    pixel_mean: Tensor
    pixel_std: Tensor

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
        self.register_buffer("pixel_mean", torch.tensor([0.5, 0.5]))
        self.register_buffer("pixel_std", torch.tensor([0.25, 0.5]))
        self.passes = Passes()
        self.register_forward_hook(self._count_forward)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (values.view(1, -1, 1, 1) for values in (self.pixel_mean, self.pixel_std))
        return self.layers((x - mean) / std)

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
    """Images with many pixels at the ends of their range, where attacks most easily leave it.

    What a generator made of them is on the way to their targets.
    """
    generator = torch.Generator().manual_seed(1)
    x = (2 * torch.rand(n, *SHAPE, generator=generator) - 0.5).clamp(0, 1)
    y = torch.randint(CLASSES, (n,), generator=generator)
    x_target = torch.rand(n, *SHAPE, generator=generator)
    ends = torch.stack([torch.arange(n), torch.arange(n).flip(0)], dim=1)
    y_target, generated = (y + 1) % CLASSES, torch.lerp(x, x_target, 0.9)
    return Batch(
        x,
        y,
        torch.arange(n),
        x_target=x_target,
        y_target=y_target,
        ends=ends,
        generated=generated,
    )


def made(name: str) -> Attack:
    """The attack of a card as it stands; of one of another library, two steps."""
    fields = {"params": {FOREIGN[name]: 2}} if name in FOREIGN else {}
    return cast(Attack, make("attack", name, fields))


def attack_of(name: str) -> Attack:
    """The attack with at most four steps and restarts, on which its promises do not depend."""
    attack = made(name)
    few = {
        field: min(4, getattr(attack, field) or 4)
        for field in ("steps", "restarts")
        if hasattr(attack, field)
    }
    return attack.smoke().model_copy(update=few)
