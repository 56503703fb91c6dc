"""LPIPS-CCAT: drawn radii, and labels that fade with perceptual distance."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.lpips_ccat import LPIPSCCAT, FeatureNet
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


def robust(folder: Path, seed: int = 7) -> FeatureNet:
    path = folder / "robust.pth"
    torch.save(net(seed).state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return FeatureNet(model=MLP(hidden=(6,)), file=str(path), sha256=sha256)


def test_features_may_come_from_a_net_in_a_file(tmp_path: Path) -> None:
    defence, model = recipe(distance="laidlaw_self", features=robust(tmp_path)), net()
    prepared = prepared_by(defence, model)
    apart = distance("laidlaw_self", net(7))(batch().x, prepared.x)[2:]
    own = distance("laidlaw_self", model)(batch().x, prepared.x)[2:]
    assert not torch.allclose(apart, own)
    weight = torch.sigmoid(10 * 0.05 * (0.1 / apart - 1))
    torch.testing.assert_close(prepared.y.amax(1)[2:], weight + (1 - weight) / 3, rtol=0, atol=1e-5)


def test_loading_a_feature_net_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    prepared_by(recipe(distance="laidlaw_self", features=robust(tmp_path, seed=8)), net())
    assert torch.equal(before, torch.get_rng_state())


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


def test_features_can_be_given_in_a_spec() -> None:
    features = {"model": {"use": "mlp", "hidden": [6]}, "file": "robust.pth", "sha256": "0" * 64}
    params = {"distance": "laidlaw_self", "features": features}
    defence: Any = make("defence", "lpips_ccat", params)
    assert defence.features == FeatureNet(
        model=MLP(hidden=(6,)), file="robust.pth", sha256="0" * 64
    )


def test_a_smoke_run_reads_no_file(tmp_path: Path) -> None:
    smoke = recipe(distance="laidlaw_self", features=robust(tmp_path)).smoke()
    assert (smoke.distance, smoke.features) == ("laidlaw_self", None)
    assert LPIPSCCAT().smoke().distance == "laidlaw_self"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_eps": 0.1}, "expected min_eps at most the attack's eps, found"),
        ({"min_eps": 0.1, "attack": Identity()}, "found min_eps 0.1, eps None"),
        (
            {"features": FeatureNet(model=MLP(), file="x", sha256="0" * 64)},
            "features need distance laidlaw_self; found distance linf",
        ),
    ],
    ids=[
        "min_eps above the attack's eps",
        "an attack without eps",
        "features that are not compared",
    ],
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
