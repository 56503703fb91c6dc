"""A collapse is noticed and undone."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import torch
from recipes import points
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.ops.draws import Stream
from invspec.training.collapse import CollapseWatch, robust_accuracy

PROBE = PGD(eps=0.1, steps=2)


def threshold(at: float) -> nn.Sequential:
    """One pixel x to logits (0, 40 (x - at)): class 1 above the threshold."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        net.get_parameter("1.weight").copy_(torch.tensor([[0.0], [40.0]]))
        net.get_parameter("1.bias").copy_(torch.tensor([0.0, -40.0 * at]))
    return net


def dark_and_light() -> Any:
    """Pixels 0.0, 0.1 ... 0.9; those of 0.5 and more have label 1."""
    split = points(10)
    split.y.copy_((torch.arange(10) >= 5).long())
    return split


def watch(net: nn.Module, drop: float = 0.5) -> CollapseWatch:
    return CollapseWatch(net, dark_and_light(), PROBE, drop)


def sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def test_robust_accuracy_counts_images_farther_than_eps_from_the_threshold() -> None:
    """Threshold 0.45, eps 0.1: pixels 0.4 and 0.5 are within eps, the others 0.15 and more away."""
    assert robust_accuracy(threshold(0.45), dark_and_light(), PROBE, Stream("key")) == 0.8


def test_an_epoch_that_loses_more_than_the_share_is_undone() -> None:
    net = threshold(0.45)
    watching, optimiser = watch(net), sgd(net)
    assert watching(net, optimiser, Stream("key")) == {"probed_accuracy": 0.8, "undone": 0}
    good = {name: value.clone() for name, value in net.state_dict().items()}
    # all pixels become class 1: five of ten are right
    net.load_state_dict(threshold(-1.0).state_dict())
    net(torch.rand(3, 1, 1, 1)).sum().backward()
    optimiser.step()
    assert watching(net, optimiser, Stream("key")) == {"probed_accuracy": 0.5, "undone": 0}
    # and then class 0 is class 1 and the other way round: none is right
    net.load_state_dict(turned(0.45).state_dict())
    assert optimiser.state
    numbers = watching(net, optimiser, Stream("key"))
    assert (numbers["undone"], watching.collapsed) == (1, True)
    assert numbers["probed_accuracy"] < 0.4
    assert not optimiser.state
    # the epoch before had lost less than half of the best accuracy
    assert not torch.equal(net.state_dict()["1.bias"], good["1.bias"])
    assert robust_accuracy(net, dark_and_light(), PROBE, Stream("key")) == 0.5


@pytest.mark.parametrize(("drop", "undone"), [(0.3, 1.0), (0.4, 0.0)])
def test_the_drop_is_a_share_of_the_best_accuracy(drop: float, undone: float) -> None:
    """From 0.8 to 0.5 is 3/8 of it."""
    net = threshold(0.45)
    watching = watch(net, drop)
    watching(net, sgd(net), Stream("key"))
    net.load_state_dict(threshold(-1.0).state_dict())
    assert watching(net, sgd(net), Stream("key"))["undone"] == undone


def turned(at: float) -> nn.Sequential:
    """Class 0 above the threshold, class 1 below."""
    net = threshold(at)
    net.get_parameter("1.weight").data.neg_()
    net.get_parameter("1.bias").data.neg_()
    return net


def test_a_first_epoch_is_compared_with_a_net_that_answers_the_same_for_all_images() -> None:
    net = threshold(-1.0)
    watching = CollapseWatch(net, dark_and_light(), PROBE, 0.5, constant=0.5)
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(turned(0.45).state_dict())
    assert watching(net, sgd(net), Stream("key")) == {"probed_accuracy": 0.0, "undone": 1}
    assert watching.collapsed
    torch.testing.assert_close(dict(net.state_dict()), initial, rtol=0, atol=0)
    # that happens once: a training that has not got anywhere is not held there
    net.load_state_dict(turned(0.45).state_dict())
    assert watching(net, sgd(net), Stream("key"))["undone"] == 0


def test_once_there_is_a_best_accuracy_a_constant_net_is_no_longer_compared() -> None:
    """0.8, and then 0.5, at least half of it."""
    net = threshold(0.45)
    watching = CollapseWatch(net, dark_and_light(), PROBE, 0.5, constant=1.0)
    assert watching(net, sgd(net), Stream("key"))["undone"] == 0
    net.load_state_dict(threshold(-1.0).state_dict())
    assert watching(net, sgd(net), Stream("key")) == {"probed_accuracy": 0.5, "undone": 0}


def test_a_restored_watch_goes_on_from_its_state() -> None:
    net = threshold(0.45)
    first = watch(net)
    first(net, sgd(net), Stream("key"))
    file = BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = watch(threshold(0.2))
    second.load_state_dict(torch.load(file, weights_only=True))
    assert (second.best, second.collapsed) == (first.best, False)
    torch.testing.assert_close(second.good, first.good, rtol=0, atol=0)


def test_it_draws_nothing_from_the_stream_of_the_training_and_leaves_the_mode() -> None:
    net, rng = threshold(0.45).train(), Stream("key")
    watch(net)(net, sgd(net), rng)
    assert net.training
    assert torch.equal(rng.uniform((3,)), Stream("key").uniform((3,)))
