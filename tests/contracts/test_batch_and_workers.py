"""Batch size and number of workers change neither keys nor results of any attack, in whole runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from attack_toys import ATTACKS, made
from torch import Tensor

from invspec import kinds
from invspec.attacks.union_max import UnionMax
from invspec.data import JUDGED
from invspec.datasets.fake import Fake
from invspec.defences.standard import Standard
from invspec.defences.walk_generator import WalkGenerator
from invspec.execution import events
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store
from invspec.kinds import Attack, Sample, Targets
from invspec.models.firevnet import FiRevNet
from invspec.models.stdcnn import StdCNN
from invspec.models.two_layer import TwoLayer
from invspec.models.unet import UNet
from invspec.tasks import Perturb, Train

EXAMPLES = 72  # more than a batch of 64
# enough steps that a difference in the last bit would show in every attack
MOST = {
    "steps": 10,
    "queries": 10,
    "targets": 2,
    "rounds": 2,
    "restarts": 2,
    "rotations": 3,
    "shifts": 3,
}
Run = tuple[int, int]  # batch size, workers
FIRST: Run = (64, 1)
slow = pytest.mark.slow  # small batches and new worker processes take seconds
SLOW = [pytest.param(how, marks=slow) for how in ((7, 1), (7, 2), (64, 2), (500, 2))]
OTHERS = [(33, 1), *SLOW]
DATA = Fake(shape=(1, 16, 16), train=256, test=EXAMPLES)
TRAIN = Train(DATA, StdCNN(), Standard(epochs=1, lr=0.05), seed=0)
FIT = {  # what attacks need of a model, and a training of one that has it
    None: TRAIN,
    kinds.TwoLayer: replace(TRAIN, model=TwoLayer(hidden=64)),
    kinds.Bijective: replace(TRAIN, model=FiRevNet(stages=2, blocks=1, width=8, factor_out=False)),
}

GENERATOR = Train(
    DATA,
    UNet(widths=(4, 8)),
    WalkGenerator(epochs=1, distance="rmse"),
    seed=0,
    against=TRAIN,
)


def attack_of(name: str) -> Attack:
    """The card's attack, at the price that it takes for differences to show."""
    return cheaper(made(name))


def cheaper(attack: Attack) -> Attack:
    """At most MOST of each, of the attacks that this one consists of too."""
    less: dict[str, Any] = {
        field: min(MOST[field], getattr(attack, field) or MOST[field])
        for field in MOST
        if hasattr(attack, field)
    }
    if isinstance(attack, UnionMax):
        less["attacks"] = tuple(map(cheaper, attack.attacks))
    return attack.model_copy(update=less)


def task_of(name: str) -> Perturb:
    attack = attack_of(name)
    targets = (
        Targets(each=1) if attack.wants_target else None
    )  # as many pairs as there are examples
    return Perturb(
        FIT.get(attack.accepts, TRAIN),
        attack,
        Sample(limit=EXAMPLES, targets=targets),
        (0, EXAMPLES),
        generator=GENERATOR if attack.wants_generator else None,
    )


Found = Callable[[Run], Store]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The store after a run of every attack."""
    goals = [task_of(name) for name in ATTACKS]

    @cache
    def run(how: Run) -> Store:
        store, (batch_size, workers) = Store(tmp_path_factory.mktemp("store")), how
        told = list(execute(goals, store, LocalExecutor(("cpu",) * workers, batch_size)))
        assert {event.task for event in told if isinstance(event, events.Done)} == {
            *FIT.values(),
            GENERATOR,
            *goals,
        }
        return store

    return run


def tensors(store: Store, name: str) -> Mapping[str, Tensor]:
    return store.load(task_of(name)).tensors


@pytest.mark.parametrize("how", OTHERS)
def test_every_run_computes_the_same_keys(found: Found, how: Run) -> None:
    first, other = (
        [folder.relative_to(store.root) for _, folder in store.folders()]
        for store in map(found, (FIRST, how))
    )
    assert first == other
    assert len(first) == len(FIT) + 1 + len({task_of(name) for name in ATTACKS})


@pytest.mark.parametrize("how", OTHERS)
def test_every_run_trains_the_same_weights(found: Found, how: Run) -> None:
    for net in (TRAIN, GENERATOR):
        first, other = (store.load(net).tensors for store in map(found, (FIRST, how)))
        assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("how", OTHERS)
@pytest.mark.parametrize(
    # each image of ART's is attacked by itself, which takes half a minute here
    "name",
    [pytest.param(name, marks=slow) if name == "art" else name for name in ATTACKS],
)
def test_every_run_finds_the_same_adversarial_examples(found: Found, name: str, how: Run) -> None:
    first, other = (tensors(found(run), name) for run in (FIRST, how))
    assert len(first["index"]) == EXAMPLES
    # attacks that keep their images store none
    made = {"x_adv"} & {*first, *other}
    assert [
        column for column in (*made, *JUDGED) if not torch.equal(other[column], first[column])
    ] == []
