"""Attacks on transformed images: what is clean, what is drawn, what is refused."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from workbench import FAKE, Memory, perturb, score, train

from invspec.attacks.fgsm import FGSM
from invspec.attacks.fixed_transforms import FixedPermutation, FixedRotation
from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError
from invspec.kinds import Attack, Sample, Targets
from invspec.ops.draws import Draws
from invspec.perform.proxies import deployed
from invspec.perform.samples import chosen
from invspec.perform.score import examples
from invspec.tasks import canonical, draw_name, key

TURN = RandomRotation(max_degrees=60)


class Own(Attack):
    """A transform with a flaw."""

    ignores_model: ClassVar[bool] = True
    flaw: str

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        x = batch.x
        match self.flaw:
            case "calls":
                model(x)
            case "reads":
                assert model.weight
            case "draws":
                x = (x + torch.rand(())) / 2
            case "nan":
                x = x * torch.nan
            case "bright":
                x = x + 2
            case "small":
                x = x[..., 1:]
            case _:
                x.zero_()
        return Perturbed.costing(x, forwards=0, backwards=0)


def images(before: Attack | None, sample: Sample | None = None, size: int = 7) -> Tensor:
    split = chosen(FAKE, sample or Sample(), before)
    return torch.cat([batch.x for batch in split.batches(size)])


def test_the_clean_image_is_what_the_transform_gives_as_an_attack() -> None:
    runtime, task = Memory(), perturb(Identity(), before=TURN)
    turned = runtime.load(perturb(TURN)).tensors
    attacked = runtime.load(task).tensors
    assert torch.equal(examples((task,), runtime).x_adv, turned["x_adv"])
    assert torch.equal(attacked["prediction"], turned["prediction_adv"])
    assert torch.equal(attacked["y"], turned["y"])
    assert attacked["linf"].sum() == 0
    assert torch.equal(images(TURN), turned["x_adv"])


@pytest.mark.parametrize("batch_size", [3, 20])
def test_ball_columns_and_distances_refer_to_the_transformed_image(batch_size: int) -> None:
    runtime, task = Memory(batch_size), perturb(FGSM(eps=0.1), before=TURN)
    columns, x = runtime.load(task).tensors, images(TURN)
    distance = (columns["x_adv"] - x).flatten(1).abs().amax(1)
    assert torch.equal(columns["linf"], distance)
    assert distance.max() <= 0.1 + 1e-6
    net = deployed(task.train, runtime)
    assert torch.equal(columns["prediction"], net(x).argmax(1))
    (clean,) = examples((task,), runtime).clean.batches(20)
    assert torch.equal(clean.x, x)


def test_nets_attacks_and_seeds_share_the_angles() -> None:
    tasks = [
        perturb(Identity(), trained, before=TURN)
        for trained in (train(), train(seed=1), train(dataset=FAKE))
    ]
    first, *others = (examples((task,), Memory()).x_adv for task in tasks)
    assert all(torch.equal(first, other) for other in others)
    assert not torch.equal(images(TURN), images(RandomRotation(max_degrees=60, draw=1)))


def test_images_do_not_depend_on_batches_samples_or_parts() -> None:
    assert torch.equal(images(TURN, size=3), images(TURN))
    assert torch.equal(images(TURN, Sample(limit=5)), images(TURN)[:5])
    whole = Memory().load(perturb(PGD(eps=0.1, steps=2), before=TURN)).tensors["x_adv"]
    part = Memory().load(perturb(PGD(eps=0.1, steps=2), before=TURN, part=(4, 9)))
    assert torch.equal(part.tensors["x_adv"], whole[4:9])


def test_of_pairs_both_images_are_transformed() -> None:
    sample = Sample(limit=4, targets=Targets(each=2))
    whole, turn = images(FixedRotation(degrees=90), Sample(limit=20)), FixedRotation(degrees=90)
    (batch,) = chosen(FAKE, sample, turn).batches(8)
    assert batch.ends is not None
    assert torch.equal(batch.x, whole[batch.ends[:, 0]])
    assert torch.equal(batch.targets, whole[batch.ends[:, 1]])


def test_a_task_without_a_transform_keeps_its_key_and_its_draws() -> None:
    task = perturb(PGD(eps=0.1, steps=2))
    turned = perturb(PGD(eps=0.1, steps=2), before=TURN)
    assert "before" not in canonical(task)
    assert key(turned) != key(task)
    assert key(turned) != key(perturb(PGD(eps=0.1, steps=2), before=FixedPermutation()))
    # the noise of an attack is the same after every transform
    assert draw_name(turned) == draw_name(task)
    assert draw_name(score(turned)) != draw_name(score(task))


def test_a_transfer_attack_judges_the_transformed_images() -> None:
    runtime = Memory()
    made = perturb(PGD(eps=0.1, steps=2), train(seed=1), before=TURN)
    columns = runtime.load(perturb(made.attack, before=TURN, source=made)).tensors
    assert torch.equal(columns["x_adv"], runtime.load(made).tensors["x_adv"])
    assert columns["linf"].max() <= 0.1 + 1e-6


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("calls", r"Own \(flaw calls\) calls the model, which it says it ignores"),
        ("reads", r"reads weight of the model"),
        ("draws", r"draws from the global generator of torch"),
        ("nan", r"pixels of 20 of 20 images are not finite"),
        ("bright", r"Own \(flaw bright\): pixels run from"),
        ("small", r"returned images \(20, 1, 4, 3\) torch.float32, expected \(20, 1, 4, 4\)"),
    ],
)
def test_a_transform_that_breaks_its_promise_is_refused(flaw: str, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        images(Own(flaw=flaw), size=20)


def test_a_transform_that_writes_to_its_images_does_not_change_the_split() -> None:
    before = images(None)
    assert images(Own(flaw="writes")).abs().sum() == 0
    assert torch.equal(images(None), before)


def test_labels_and_batches_are_on_the_device_asked_for() -> None:
    split = chosen(FAKE, Sample(), TURN).to("meta")
    (batch,) = split.batches(20)
    assert {batch.x.device.type, batch.y.device.type, split.labels().device.type} == {"meta"}
