"""Fast adversarial training: what it learns from, and what it does about a collapse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from recipes import Recording, Resumed, convolutional, grey, points, trained, weights
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Journal
from invspec.defences import fast_adversarial_training as module
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.fast_adversarial_training import FastAdversarialTraining
from invspec.errors import InvspecError
from invspec.layers.whitening import PatchWhitening
from invspec.ops.draws import Stream
from invspec.training import collapse
from invspec.training.calibration import calibrate

PLAIN: dict[str, Any] = {"flip": False, "crop": 0}


def test_its_attacks_reach_the_edge_of_the_same_ball() -> None:
    defence = FastAdversarialTraining()
    eps = {attack.eps for attack in (defence.attack, defence.fallback, defence.probe)}
    assert eps == {8 / 255}


def test_without_its_extras_it_is_adversarial_training_on_what_is_not_held_out() -> None:
    settings: dict[str, Any] = {
        **{"epochs": 2, "batch_size": 8, "optimiser": "sgd", "lr": 0.1, "weight_decay": 0},
        **{"schedule": "constant", "attack": PGD(eps=0.1, steps=1)},
    }
    watched = trained(FastAdversarialTraining(**settings, **PLAIN), grey(40), convolutional())
    expected = trained(AdversarialTraining(**settings), grey(40).head(36), convolutional())
    assert torch.equal(weights(watched), weights(expected))


@pytest.mark.parametrize(("count", "held_out", "out"), [(40, 500, 4), (40, 3, 3), (19, 500, 1)])
def test_it_holds_out_the_last_images_at_most_a_tenth(count: int, held_out: int, out: int) -> None:
    learned, kept = FastAdversarialTraining(held_out=held_out).divided(points(count))
    assert learned.index.tolist() == list(range(count - out))
    assert kept.index.tolist() == list(range(count - out, count))


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(InvspecError, match="9 training examples are too few"):
        trained(FastAdversarialTraining(), points(9))


def test_its_curves_show_the_probe() -> None:
    curves = FastAdversarialTraining(epochs=3, **PLAIN).train(
        convolutional(), grey(), Stream("key"), Journal()
    )
    assert set(curves) == {"loss", "accuracy", "probed_accuracy", "undone"}
    assert all(0 <= accuracy <= 1 for accuracy in curves["probed_accuracy"])
    assert {len(numbers) for numbers in curves.values()} == {3}


def collapsing(monkeypatch: pytest.MonkeyPatch, accuracies: list[float]) -> list[PGD]:
    """Give the probe these accuracies, and list the attacks of all updates."""
    used: list[PGD] = []
    attack_batch = module.attack_batch

    def recorded(attack: PGD, *rest: Any) -> Any:
        used.append(attack)
        return attack_batch(attack, *rest)

    monkeypatch.setattr(module, "attack_batch", recorded)
    monkeypatch.setattr(collapse, "robust_accuracy", lambda *_: accuracies.pop(0))
    return used


def test_a_collapse_undoes_the_epoch_and_ends_the_single_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defence, journal, net = FastAdversarialTraining(epochs=3, **PLAIN), Recording(), convolutional()
    used = collapsing(monkeypatch, [0.4, 0.1, 0.3])
    curves = defence.train(net, grey(), Stream("key"), journal)
    assert used == [defence.attack, defence.attack, defence.fallback]
    assert curves["undone"] == [0, 1, 0]
    first, second, third = (state["model"] for state in journal.states)
    torch.testing.assert_close(second, first, rtol=0, atol=0)
    assert not torch.equal(third["0.weight"], first["0.weight"])


def test_a_collapse_within_the_first_epoch_brings_the_initial_weights_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defence, journal, net = FastAdversarialTraining(epochs=2, **PLAIN), Recording(), convolutional()
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    used = collapsing(monkeypatch, [0.0, 0.0])
    curves = defence.train(net, grey(), Stream("key"), journal)
    assert curves["undone"] == [1, 0]
    assert used == [defence.attack, defence.fallback]
    torch.testing.assert_close(journal.states[0]["model"], initial, rtol=0, atol=0)


def test_initial_weights_that_come_back_are_those_of_the_whitening_by_the_training_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(PatchWhitening(1, 2), nn.Flatten(), nn.Linear(8 * 49, 3))
    calibrated = copy.deepcopy(net)
    calibrate(calibrated, grey().head(44))
    journal = Recording()
    collapsing(monkeypatch, [0.0])
    FastAdversarialTraining(epochs=1, **PLAIN).train(net, grey(), Stream("key"), journal)
    torch.testing.assert_close(
        journal.states[0]["model"], dict(calibrated.state_dict()), rtol=0, atol=0
    )


def test_the_commonest_label_is_what_a_constant_net_gets() -> None:
    split = points(10)
    split.y.copy_(torch.tensor([0, 0, 0, 1, 1, 1, 1, 1, 2, 2]))
    assert module.share_of_commonest(split) == 0.5


def test_a_training_resumed_after_a_collapse_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    defence, journal, whole = (
        FastAdversarialTraining(epochs=4, **PLAIN),
        Recording(),
        convolutional(),
    )
    collapsing(monkeypatch, [0.4, 0.1, 0.3, 0.3])
    trained(defence, grey(), whole, journal)
    resumed = convolutional()
    used = collapsing(monkeypatch, [0.3, 0.3])
    trained(defence, grey(), resumed, Resumed(journal.states[1]))
    assert torch.equal(weights(resumed), weights(whole))
    assert all(attack == defence.fallback for attack in used)
    assert len(used) == 2
