"""What the card of each kind computes on a device, and where that differs from the CPU.

Runs in the child process; every function takes the name of a card and the name of a device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import attack_toys
import check_toys
import dataset_cards
import defence_toys
import measure_toys
import model_toys
import torch
from pretend_bits import differences
from pretend_device import NAME

from invspec.data import Batch
from invspec.ops.draws import PerExample, Stream


def attacked(name: str, device: str) -> Any:
    """The results of an attack on twelve images, alone and within a training."""
    attack, batch = attack_toys.attack_of(name), attack_toys.batch_of(12)
    model, batch = attack_toys.deployed(name).to(device), on(batch, device)
    draws = {"alone": PerExample("task", batch.index, device), "in a training": Stream("task")}
    return {name: attack.perturb(model, batch, rng) for name, rng in draws.items()}


def on(batch: Batch, device: str) -> Batch:
    """The batch as a split on the device gives it: index and ends stay on the CPU."""
    names = ("x", "y", "x_target", "y_target", "generated")
    moved = {name: getattr(batch, name).to(device) for name in names}
    return replace(batch, **moved)


def trained(name: str, device: str, **params: Any) -> Any:
    """The weights after two epochs of a defence."""
    return dict(defence_toys.trained(name, device=device, **params).state_dict())


def passed(name: str, device: str) -> Any:
    """Output and input gradients of a deployed net, and the weights' gradients in training."""
    images = model_toys.images(name)
    net = model_toys.built(name).to(device)
    torch.manual_seed(0)
    value = net.train()(images.to(device)).flatten(1).logsumexp(1).sum()
    if value.requires_grad:
        value.backward()
    learned = {key: weight.grad for key, weight in net.named_parameters()}
    x = images.to(device).requires_grad_()
    logits = model_toys.made(name)[0].deploy(net)(x)
    logits.flatten(1).logsumexp(1).sum().backward()
    return {"logits": logits, "gradient": x.grad, **learned}


def scored(name: str, device: str) -> Any:
    """The score of a measure."""
    torch.manual_seed(0)
    return measure_toys.score(name, device)


def examined(name: str, device: str) -> Any:
    """The finding of a check."""
    return check_toys.found(name, device=device)


def read(name: str, device: str) -> Any:
    """The first batches of every split of a data set, in order and shuffled."""
    dataset = dataset_cards.made(name)
    splits = (dataset.load(split).head(100).to(device) for split in dataset_cards.SPLITS)
    return [list(split.batches(40)) for split in splits]


KINDS: dict[str, Callable[..., Any]] = {
    "attack": attacked,
    "defence": trained,
    "model": passed,
    "measure": scored,
    "check": examined,
    "dataset": read,
}


def compared(kind: str, name: str, **params: Any) -> list[str]:
    """Where a card's results on the device differ from those on the CPU."""
    compute = KINDS[kind]
    return differences(compute(name, "cpu", **params), compute(name, NAME, **params))
