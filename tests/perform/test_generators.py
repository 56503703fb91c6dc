"""Generators as attacks use them, and their trainings as tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor
from workbench import Memory, train

from invspec.attacks.generated import Generated
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import GENERATOR_OPERATIONS
from invspec.datasets.fake import Fake
from invspec.defences.walk_generator import WalkGenerator
from invspec.errors import InvspecError
from invspec.kinds import Attack, Sample, Targets
from invspec.models.noisy import Noisy
from invspec.models.unet import UNet, UNetModule
from invspec.ops.operations import forward_operations
from invspec.perform.fresh import fresh
from invspec.perform.proxies import deployed
from invspec.perform.samples import chosen
from invspec.registry.methods import make
from invspec.tasks import Perturb, Train

FAKE = Fake(shape=(1, 8, 8), classes=3, train=48, test=12)
CLASSIFIER = train(dataset=FAKE)
GENERATOR = Train(
    FAKE,
    UNet(widths=(4, 8)),
    WalkGenerator(epochs=2, batch_size=16, distance="rmse"),
    seed=0,
    against=CLASSIFIER,
)
SAMPLE = Sample(targets=Targets(each=1))


def attack(method: Attack, **changes: object) -> Perturb:
    fields = {"train": CLASSIFIER, "sample": SAMPLE, "part": (0, 12), "generator": GENERATOR}
    return Perturb(attack=method, **{**fields, **changes})  # pyright: ignore[reportArgumentType]


def pairs() -> tuple[Tensor, Tensor]:
    (batch,) = chosen(FAKE, SAMPLE).batches(12)
    return batch.x, batch.targets


def test_the_image_is_what_the_trained_generator_makes() -> None:
    runtime = Memory()
    found = runtime.load(attack(Generated(max_drop=1))).tensors
    net = fresh(GENERATOR)
    net.load_state_dict(dict(runtime.load(GENERATOR).tensors))
    with torch.no_grad():
        made = net(torch.cat(pairs(), dim=1)).clamp(0, 1)
    torch.testing.assert_close(found["x_adv"], made, atol=1e-6, rtol=1e-5)
    assert not torch.equal(made, pairs()[1])


def test_batch_size_changes_no_bit() -> None:
    first, other = (Memory(size).load(attack(Generated())).tensors for size in (12, 5))
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_a_training_that_is_repeated_gives_the_same_weights() -> None:
    first, other = (Memory().load(GENERATOR).tensors for _ in range(2))
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_generators_against_two_classifiers_differ_and_start_alike() -> None:
    other = replace(GENERATOR, against=replace(CLASSIFIER, seed=1))
    runtime = Memory()
    first, second = (runtime.load(task).tensors for task in (GENERATOR, other))
    assert any(not torch.equal(first[name], second[name]) for name in first)
    begin, again = (fresh(task).state_dict() for task in (GENERATOR, other))
    assert all(torch.equal(begin[name], again[name]) for name in begin)


def test_the_operations_of_the_generator_are_stored_for_each_pair() -> None:
    runtime = Memory()
    found = runtime.load(attack(Generated())).tensors
    once = forward_operations(deployed(GENERATOR, runtime), torch.zeros(1, 2, 8, 8))
    assert found[GENERATOR_OPERATIONS].tolist() == [once] * 12
    bare = runtime.load(attack(NSPGD(steps=1), generator=None)).tensors
    assert GENERATOR_OPERATIONS not in bare


def test_a_transfer_costs_what_it_cost_where_it_was_made() -> None:
    runtime, made = Memory(), attack(Generated())
    other = replace(CLASSIFIER, defence=CLASSIFIER.defence.model_copy(update={"lr": 0.3}))
    moved = attack(Generated(), train=other, generator=None, source=made)
    first, second = (runtime.load(task).tensors for task in (made, moved))
    assert torch.equal(first["x_adv"], second["x_adv"])
    assert torch.equal(first[GENERATOR_OPERATIONS], second[GENERATOR_OPERATIONS])


def test_a_walk_starts_at_the_image() -> None:
    runtime = Memory()
    walk = cast(NSPGD, make("attack", "generated_walk", {"steps": 2, "keep_path": True}))
    found = runtime.load(attack(walk)).tensors
    start = runtime.load(attack(Generated())).tensors["x_adv"]
    assert torch.equal(found["path"][:, 1], start)
    assert found["path"].shape[1] == 2 + 2


def test_a_generator_reads_transformed_images() -> None:
    runtime, turn = Memory(), RandomRotation(max_degrees=90)
    found = runtime.load(attack(Generated(max_drop=1), before=turn)).tensors["x_adv"]
    (batch,) = chosen(FAKE, SAMPLE, turn).batches(12)
    with torch.no_grad():
        made = deployed(GENERATOR, runtime)(torch.cat([batch.x, batch.targets], dim=1)).clamp(0, 1)
    torch.testing.assert_close(found, made, atol=1e-6, rtol=1e-5)
    assert not torch.equal(batch.targets, pairs()[1])


def test_a_generator_is_trained_against_the_passes_of_a_random_net_that_attacks_see() -> None:
    noisy = train(dataset=FAKE, model=Noisy(passes=2))
    runtime = Memory()
    first = runtime.load(replace(GENERATOR, against=noisy)).tensors
    again = Memory().load(replace(GENERATOR, against=noisy)).tensors
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda pair: pair, r"returned \(8, 2, 8, 8\), expected images of shape \(8, 1, 8, 8\)"),
        (lambda pair: pair[:, :1] * torch.nan, "returned pixels that are not finite"),
    ],
)
def test_what_is_no_image_is_an_error(
    made: object, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Memory()
    runtime.load(GENERATOR)
    deployed.cache_clear()
    monkeypatch.setattr(UNetModule, "forward", lambda self, pair: made(pair))  # pyright: ignore[reportCallIssue]
    with pytest.raises(InvspecError, match=told):
        runtime.load(attack(Generated()))
    deployed.cache_clear()


def test_a_generator_that_learns_what_its_state_dict_does_not_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forward(self: UNetModule, pair: Tensor) -> Tensor:
        seen = vars(self).get("seen", 0) + self.training
        vars(self)["seen"] = seen
        return pair[:, 1:] + seen + self.last.bias

    monkeypatch.setattr(UNetModule, "forward", forward)
    with pytest.raises(InvspecError, match="gives other images once its weights are stored"):
        Memory().load(GENERATOR)
