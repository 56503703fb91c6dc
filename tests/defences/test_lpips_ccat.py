"""LPIPS-CCAT: drawn radii, and labels that fade with perceptual distance."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.lpips_ccat import LPIPSCCAT
from invspec.models.mlp import MLP
from invspec.ops.draws import Stream
from invspec.perceptual.distances import distance
from invspec.registry.methods import make

STEP = PGD(eps=0.05, steps=1, step_size=0.05, random_start=False)
SHAPE, CLASSES = (1, 4, 4), 3


def batch(n: int = 4) -> Batch:
    """Grey images, so that the box of valid pixels is far."""
    return Batch(torch.full((n, *SHAPE), 0.5), torch.arange(n) % CLASSES, torch.arange(n))


def net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return MLP(hidden=(6,)).build(SHAPE, CLASSES)


def recipe(**params: Any) -> LPIPSCCAT:
    return LPIPSCCAT(
        **{"attack": STEP, "min_eps": None, "distance": "linf", "max_lpips": 0.1, "rho": 10}
        | params
    )


def prepared_by(defence: LPIPSCCAT, model: nn.Module) -> Batch:
    return defence.prepare(model, batch(), 0.5, Stream("key"))


def test_labels_of_the_attacked_half_fade_with_its_distance() -> None:
    """Distance and size are 0.05: the weight is sigmoid(10 * 0.05 * (0.1 / 0.05 - 1))."""
    weight = 1 / (1 + math.exp(-0.5))
    prepared = prepared_by(recipe(), net())
    assert prepared.y.argmax(1).tolist() == [0, 1, 2, 0]
    assert prepared.y.amax(1).tolist() == pytest.approx(
        [1, 1] + [weight + (1 - weight) / 3] * 2, abs=1e-5
    )
    torch.testing.assert_close(prepared.y.sum(1), torch.ones(4))


def test_an_image_that_is_not_moved_keeps_its_label() -> None:
    prepared = prepared_by(recipe(attack=Identity()), net())
    assert prepared.y.amax(1).tolist() == [1] * 4


def test_the_radius_of_a_batch_is_uniform_between_min_eps_and_eps() -> None:
    """The mean of 500 uniform numbers is within 5 standard errors of the middle."""
    rng = Stream("key")
    attacks: list[Any] = [recipe(min_eps=0.01).drawn_attack(rng) for _ in range(500)]
    radii = torch.tensor([attack.eps for attack in attacks])
    assert radii.min() >= 0.01
    assert radii.max() <= 0.05
    assert radii.mean().item() == pytest.approx(0.03, abs=5 * 0.04 / (12 * 500) ** 0.5)


def test_all_images_of_a_batch_are_attacked_within_the_radius_drawn() -> None:
    drawn: Any = recipe(min_eps=0.01).drawn_attack(Stream("key"))
    prepared = prepared_by(recipe(min_eps=0.01), net())
    torch.testing.assert_close(
        prepared.x[2:].sub(0.5).abs(), torch.full((2, *SHAPE), drawn.eps), rtol=0, atol=1e-6
    )


def test_without_min_eps_the_attack_is_used_as_given() -> None:
    prepared = prepared_by(recipe(), net())
    torch.testing.assert_close(
        prepared.x[2:].sub(0.5).abs(), torch.full((2, *SHAPE), 0.05), rtol=0, atol=1e-6
    )


def test_laidlaw_self_compares_features_of_the_model_in_training() -> None:
    defence, model = recipe(distance="laidlaw_self"), net()
    prepared = prepared_by(defence, model)
    apart = distance("laidlaw_self", model)(batch().x, prepared.x)[2:]
    weight = torch.sigmoid(10 * 0.05 * (0.1 / apart - 1))
    torch.testing.assert_close(prepared.y.amax(1)[2:], weight + (1 - weight) / 3, rtol=0, atol=1e-5)
    assert model.training
    assert all(
        parameter.grad is None and parameter.requires_grad for parameter in model.parameters()
    )


def test_a_calibrated_label_has_weight_one_half_at_the_median_distance_of_noise() -> None:
    """In linf the noise has its own size: 0.1 as a threshold, whatever max_lpips says."""
    calibrated = prepared_by(recipe(max_lpips=7.0, calibrate_at=0.1), net())
    torch.testing.assert_close(calibrated.y, prepared_by(recipe(max_lpips=0.1), net()).y)


def test_calibration_makes_the_scale_of_a_distance_irrelevant() -> None:
    """RMSE is l2 divided by 4 on 16 pixels; without calibration that changes the labels."""
    for calibrate_at, is_equal in ((0.1, True), (None, False)):
        labels = [
            prepared_by(recipe(distance=name, calibrate_at=calibrate_at), net()).y
            for name in ("l2", "rmse")
        ]
        assert torch.allclose(*labels, atol=1e-6) == is_equal


def test_the_median_is_over_attacked_images_whether_they_moved_or_not() -> None:
    """So that a CPU, which can see who moved, and a GPU learn from the same labels."""
    x = batch().x
    noisy = x + torch.tensor([0.0, 0.0, 0.1, 0.3]).reshape(4, 1, 1, 1)
    # torch's median of two is the lower: the last weight is sigmoid(0.5 (0.1 / 0.05 - 1))
    expected = 1 / (1 + math.exp(-0.5))
    for moved in ([2, 3], [3]):
        x_adv = x.clone()
        x_adv[moved] += 0.05
        weight = recipe(calibrate_at=0.1).label_weight(net(), x, x_adv, noisy=noisy)
        assert weight[3].item() == pytest.approx(expected, abs=1e-5)


def test_features_may_be_those_of_another_net() -> None:
    defence, model = recipe(distance="laidlaw_self"), net()
    prepared = defence.prepare(model, batch(), 0.5, Stream("key"), features=net(7))
    apart = distance("laidlaw_self", net(7))(batch().x, prepared.x)[2:]
    own = distance("laidlaw_self", model)(batch().x, prepared.x)[2:]
    assert not torch.allclose(apart, own)
    weight = torch.sigmoid(10 * 0.05 * (0.1 / apart - 1))
    torch.testing.assert_close(prepared.y.amax(1)[2:], weight + (1 - weight) / 3, rtol=0, atol=1e-5)


def test_training_by_another_net_leaves_it_alone_and_gives_another_net() -> None:
    """The same draws: what differs is the net that measures how far images have moved."""
    y = torch.arange(12) % CLASSES
    data = TensorSplit(torch.full((12, *SHAPE), 0.5), y)
    defence = recipe(distance="laidlaw_self", epochs=1, batch_size=4, lr=0.1, schedule="constant")
    other = net(7).eval().requires_grad_(False)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    by_itself, by_other = net(), net()
    defence.train(by_itself, data, Stream("key"), Journal())
    curves = defence.train_by(by_other, other, data, Stream("key"), Journal())
    assert len(curves["loss"]) == 1
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())
    pairs = zip(by_itself.parameters(), by_other.parameters(), strict=True)
    assert not all(torch.equal(own, beside) for own, beside in pairs)


@pytest.mark.parametrize(("name", "takes"), [("laidlaw_self", True), ("lpips_alex", False)])
def test_only_laidlaw_self_takes_a_feature_net(name: str, takes: bool) -> None:
    assert recipe(distance=name).takes_features == takes


def trained(defence: LPIPSCCAT, images: Tensor, y: Tensor) -> nn.Module:
    model = net()
    defence.train(model, TensorSplit(images, y), Stream("key"), Journal())
    return model.eval()


def test_a_smaller_max_lpips_makes_the_model_less_confident_on_attacked_images() -> None:
    """Three classes of bright rows, attacked to a quarter of their contrast."""
    y = torch.arange(60) % CLASSES
    images = torch.full((60, *SHAPE), 0.3)
    images[torch.arange(60), 0, y] = 0.9
    cheap = {"epochs": 8, "batch_size": 10, "lr": 0.03, "optimiser": "adam", "schedule": "constant"}
    attack = STEP.model_copy(update={"eps": 0.15, "step_size": 0.15})
    confidences: list[float] = []
    for max_lpips in (0.01, 1.0):
        model = trained(recipe(attack=attack, max_lpips=max_lpips, rho=50, **cheap), images, y)
        x_adv = attack.perturb(
            model.requires_grad_(False), Batch(images, y, torch.arange(60)), Stream("x")
        ).x_adv
        assert (model(images).argmax(1) == y).all()
        confidences.append(model(x_adv).softmax(1).amax(1).mean().item())
    assert confidences[0] < confidences[1] - 0.2


def test_the_defaults_are_the_authors() -> None:
    defence = make("defence", "lpips_ccat", {})
    assert isinstance(defence, LPIPSCCAT)
    attack: Any = defence.attack
    assert (defence.rho, defence.max_lpips, defence.distance) == (100, 0.03, "lpips_alex")
    assert (defence.optimiser, defence.lr, defence.decay) == ("sgd", 0.075, 0.95)
    assert defence.batch_size == 100
    assert (defence.min_eps, attack.eps, attack.norm) == (4 / 255, 12 / 255, "linf")


def test_algorithm_3_as_printed_leaves_at_least_half_of_the_label() -> None:
    printed = make("defence", "lpips_ccat_perceptual", {})
    assert isinstance(printed, LPIPSCCAT)
    attack: Any = printed.attack
    assert (attack.max_distance, attack.distance) == (printed.max_lpips, printed.distance)
    near = attack.model_copy(update={"distance": "laidlaw_self", "steps": 3})
    prepared = prepared_by(recipe(attack=near, max_lpips=0.03, distance="laidlaw_self"), net())
    assert (prepared.x[2:] != 0.5).flatten(1).any(1).all()
    # half of the label, and a third of the rest
    assert (prepared.y.amax(1) >= 1 / 2 + 1 / 6 - 1e-3).all()


def test_a_smoke_run_reads_no_file() -> None:
    assert recipe(distance="laidlaw_self").smoke().distance == "laidlaw_self"
    assert LPIPSCCAT().smoke().distance == "laidlaw_self"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_eps": 0.1}, "expected min_eps at most the attack's eps, found"),
        ({"min_eps": 0.1, "attack": Identity()}, "found min_eps 0.1, eps None"),
    ],
    ids=["min_eps above the attack's eps", "an attack without eps"],
)
def test_fields_that_contradict_each_other_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**wrong)


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA is not set")
def test_lpips_on_alexnet_fades_the_labels_of_visible_perturbations_only() -> None:
    """Faint noise keeps more than half of its label, a strong pattern of the same model less."""
    defence = LPIPSCCAT(min_eps=None)
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x = 0.2 * noise.expand(2, -1, -1, -1) + 0.4
    x_adv = x.clone()
    x_adv[0] += 0.002
    x_adv[1, :, ::4] += 0.4
    faint, strong = defence.label_weight(net(), x, x_adv).tolist()
    assert faint > 0.5
    assert strong < 0.05
