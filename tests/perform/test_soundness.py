"""A net that is no function of the image is found, and named for what it does."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.perform.proxies import Padded
from invspec.perform.soundness import examine

IMAGES = torch.rand(24, 1, 6, 6, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A small net with something done to its images first."""

    change: Callable[[Tensor], Tensor]

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.body = nn.Sequential(
                nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
            )
        self.eval().change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.change(x))


def sentence(net: nn.Module, images: Tensor = IMAGES) -> str:
    flaw = examine(Padded(net), images).flaw
    return "" if flaw is None else flaw.message


SOUND: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda x: x,
    "its own statistics": F.instance_norm,
    "in place on a copy": lambda x: x.clone().mul_(0.5),
    "no dropout": lambda x: F.dropout(x, 0.4, training=False),
    "draws that do not matter": lambda x: x + 0 * torch.rand_like(x),
}


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_a_function_of_the_image_has_no_flaw(change: Callable[[Tensor], Tensor]) -> None:
    assert sentence(Net(change)) == ""


IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "mul": lambda x: x.mul_(0.5),
    "standardised": lambda x: x.sub_(0.1).div_(0.3),
    "clamped": lambda x: x.clamp_(0.2, 0.8),
    "one pixel": lambda x: x.index_fill_(3, torch.tensor(2), 0.0),
    "a view": lambda x: x[:, :, 0].zero_().new_zeros(1) + x,
    "without a change": lambda x: F.relu(x, inplace=True),
    "a view, without a change": lambda x: x[:, :, 0].clamp_(0, 1).new_zeros(1) + x,
    "as numpy": lambda x: torch.from_numpy(np.multiply(x.numpy(), 0.5, out=x.numpy())),
}


@pytest.mark.parametrize("change", IN_PLACE.values(), ids=IN_PLACE)
def test_images_changed_in_place_are_noticed(change: Callable[[Tensor], Tensor]) -> None:
    """Autograd refuses these nets wherever images are not padded, so some batch sizes fail."""
    assert sentence(Net(change)) == "changes its images in place"


RANDOM: dict[str, Callable[[Tensor], Tensor]] = {
    "dropout": lambda x: F.dropout(x, 0.4),
    "little dropout": lambda x: F.dropout(x, 0.01),
    "noise": lambda x: x + 1e-4 * torch.randn_like(x),
    "numpy": lambda x: x + float(np.random.rand()),
    "python": lambda x: x * random.random(),
}


@pytest.mark.parametrize("change", RANDOM.values(), ids=RANDOM)
def test_random_draws_are_noticed_however_small(change: Callable[[Tensor], Tensor]) -> None:
    flaw = examine(Padded(Net(change)), IMAGES).flaw
    assert flaw is not None
    assert flaw.is_random
    assert flaw.message.startswith("draws random numbers (")


def test_dropout_left_in_train_mode_is_noticed() -> None:
    net = nn.Sequential(Net(), nn.Dropout(0.5))
    net.eval()[1].train()
    assert sentence(net).startswith("draws random numbers (torch)")


IN_BATCH: dict[str, Callable[[Tensor], Tensor]] = {
    "batch norm": nn.BatchNorm2d(1, affine=False, track_running_stats=False),
    "mean": lambda x: x - x.mean(),
    "largest": lambda x: x / x.max(),
    "least": lambda x: x - x.min(),
    "number": lambda x: x * len(x) / 16,
    "first": lambda x: x - x[:1],
    "neighbour": lambda x: x + 0.5 * x.roll(1, 0),
    "place": lambda x: x + torch.rand(x.shape, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("change", IN_BATCH.values(), ids=IN_BATCH)
def test_answers_that_depend_on_the_batch_are_noticed(change: Callable[[Tensor], Tensor]) -> None:
    assert sentence(Net(change)) == "gives the same image other logits in another batch"


def test_batch_norm_in_train_mode_is_noticed() -> None:
    net = Net()
    net.body[1].train()
    assert sentence(net) == "gives the same image other logits in another batch"


class Counts(Net):
    """Counts its passes in a buffer, and perhaps answers by it."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x) * (1 + self.weight * self.calls)


def test_a_memory_of_earlier_passes_is_noticed_if_answers_depend_on_it() -> None:
    assert sentence(Counts(0.1)) == "gives the same image other logits in each pass"
    findings = examine(Padded(Counts(0)), IMAGES)
    assert findings.flaw is None
    assert findings.own_changes == {"calls"}


def test_a_generator_of_its_own_is_noticed() -> None:
    generator = np.random.default_rng(0)
    net = Net(lambda x: x + float(generator.random()))
    assert sentence(net) == "gives the same image other logits in each pass"


@pytest.mark.parametrize("n", [1, 2, 16, 24])
def test_any_number_of_images_will_do(n: int) -> None:
    assert sentence(Net(), IMAGES[:n]) == ""
    assert sentence(Net(lambda x: x.mul_(0.5)), IMAGES[:n]) != ""


def test_logits_that_are_not_finite_are_left_to_judging() -> None:
    assert sentence(Net(lambda x: x * torch.nan)) == ""


def test_neither_images_nor_generators_are_touched() -> None:
    before, state = IMAGES.clone(), torch.get_rng_state()
    sentence(Net(lambda x: F.dropout(x.mul_(0.5))))
    assert torch.equal(IMAGES, before)
    assert torch.equal(torch.get_rng_state(), state)
