"""Attacks whose images are made on another net."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from workbench import Memory, perturb, toys, train

from invspec.attacks.pgd import PGD
from invspec.models.mlp import MLP
from invspec.perform.proxies import deployed
from invspec.perform.score import examples
from invspec.tasks import Perturb

SOURCE = train(model=MLP(hidden=(16,)))
ATTACK = PGD(eps=0.2, steps=5)


def moved(source: Perturb) -> Perturb:
    return replace(perturb(source.attack, part=source.part), source=source)


@pytest.mark.parametrize("batch_size", [3, 8, 64])
def test_images_and_costs_are_those_of_the_source(batch_size: int) -> None:
    runtime, source = Memory(batch_size), perturb(ATTACK, SOURCE, part=(4, 15))
    made, judged = runtime.load(source).tensors, runtime.load(moved(source)).tensors
    for name in ("index", "y", "x_adv", "linf", "forwards", "backwards"):
        assert judged[name].equal(made[name])


def test_labels_are_those_of_the_attacked_net() -> None:
    runtime, source = Memory(), perturb(ATTACK, SOURCE)
    task = moved(source)
    made, judged = runtime.load(source).tensors, runtime.load(task).tensors
    net = deployed(task.train, runtime)
    assert judged["prediction_adv"].equal(net(made["x_adv"]).argmax(1))
    assert not judged["prediction"].equal(made["prediction"])
    own = runtime.load(perturb(ATTACK)).tensors
    right = [(tensors["prediction_adv"] == tensors["y"]).sum() for tensors in (own, judged)]
    assert right[0] < right[1]


def test_a_path_is_passed_on_without_its_promise() -> None:
    runtime, source = Memory(batch_size=4), perturb(toys.Ascent(keep_path=True), SOURCE)
    task = moved(source)
    paths = [runtime.load(one).tensors["path"] for one in (source, task)]
    assert torch.equal(*paths)
    assert examples((task,), runtime).path_promise is None


def test_a_part_beyond_the_end_of_the_sample_is_empty() -> None:
    runtime = Memory()
    assert len(runtime.load(moved(perturb(ATTACK, SOURCE, part=(20, 30)))).tensors["y"]) == 0
