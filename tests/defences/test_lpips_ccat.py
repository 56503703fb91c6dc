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


def lesson_of(defence: LPIPSCCAT, model: nn.Module) -> Batch:
    return defence.prepare(model, batch(), 0.5, Stream("key"))


def test_the_attacked_half_keeps_the_weight_of_its_distance_and_the_clean_half_all() -> None:
    """Both distance and size are 0.05: sigmoid(10 * 0.05 * (0.1 / 0.05 - 1)) = sigmoid(1/2) is left of the label."""
    weight = 1 / (1 + math.exp(-0.5))
    prepared = lesson_of(recipe(), net())
    assert prepared.y.argmax(1).tolist() == [0, 1, 2, 0]
    assert prepared.y.amax(1).tolist() == pytest.approx(
        [1, 1] + [weight + (1 - weight) / 3] * 2, abs=1e-5
    )
    torch.testing.assert_close(prepared.y.sum(1), torch.ones(4))


def test_an_image_that_the_attack_left_alone_keeps_its_label() -> None:
    prepared = lesson_of(recipe(attack=Identity()), net())
    assert prepared.y.amax(1).tolist() == [1] * 4


def test_the_radius_is_drawn_for_each_batch_between_its_ends() -> None:
    """Of 500 uniform numbers the mean is within 5 standard errors of the middle."""
    rng = Stream("key")
    attacks: list[Any] = [recipe(min_eps=0.01).at_radius(rng).attack for _ in range(500)]
    radii = torch.tensor([attack.eps for attack in attacks])
    assert radii.min() >= 0.01
    assert radii.max() <= 0.05
    assert radii.mean().item() == pytest.approx(0.03, abs=5 * 0.04 / (12 * 500) ** 0.5)


def test_all_images_of_a_batch_are_attacked_within_the_radius_drawn() -> None:
    drawn: Any = recipe(min_eps=0.01).at_radius(Stream("key")).attack
    prepared = lesson_of(recipe(min_eps=0.01), net())
    torch.testing.assert_close(
        prepared.x[2:].sub(0.5).abs(), torch.full((2, *SHAPE), drawn.eps), rtol=0, atol=1e-6
    )


def test_without_min_eps_the_attack_is_as_it_is_given() -> None:
    prepared = lesson_of(recipe(), net())
    torch.testing.assert_close(
        prepared.x[2:].sub(0.5).abs(), torch.full((2, *SHAPE), 0.05), rtol=0, atol=1e-6
    )


def test_the_distance_of_its_own_features_is_that_of_the_model_in_training() -> None:
    defence, model = recipe(distance="laidlaw_self"), net()
    prepared = lesson_of(defence, model)
    apart = distance("laidlaw_self", model)(batch().x, prepared.x)[2:]
    weight = torch.sigmoid(10 * 0.05 * (0.1 / apart - 1))
    torch.testing.assert_close(prepared.y.amax(1)[2:], weight + (1 - weight) / 3, rtol=0, atol=1e-5)
    assert model.training
    assert all(
        parameter.grad is None and parameter.requires_grad for parameter in model.parameters()
    )


def robust(folder: Path, seed: int = 7) -> FeatureNet:
    path = folder / "robust.pth"
    torch.save(net(seed).state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return FeatureNet(model=MLP(hidden=(6,)), file=str(path), sha256=sha256)


def test_the_features_may_be_those_of_a_net_from_a_file(tmp_path: Path) -> None:
    defence, model = recipe(distance="laidlaw_self", features=robust(tmp_path)), net()
    prepared = lesson_of(defence, model)
    apart = distance("laidlaw_self", net(7))(batch().x, prepared.x)[2:]
    own = distance("laidlaw_self", model)(batch().x, prepared.x)[2:]
    assert not torch.allclose(apart, own)
    weight = torch.sigmoid(10 * 0.05 * (0.1 / apart - 1))
    torch.testing.assert_close(prepared.y.amax(1)[2:], weight + (1 - weight) / 3, rtol=0, atol=1e-5)


def test_loading_a_net_of_features_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    lesson_of(recipe(distance="laidlaw_self", features=robust(tmp_path, seed=8)), net())
    assert torch.equal(before, torch.get_rng_state())


def trained(defence: LPIPSCCAT, images: Tensor, y: Tensor) -> nn.Module:
    model = net()
    defence.train(model, TensorSplit(images, y), Stream("key"), Journal())
    return model.eval()


def test_the_smaller_the_budget_the_less_sure_is_the_model_of_what_is_attacked() -> None:
    """Three classes of bright rows, attacked to a quarter of their contrast."""
    y = torch.arange(60) % CLASSES
    images = torch.full((60, *SHAPE), 0.3)
    images[torch.arange(60), 0, y] = 0.9
    cheap = {"epochs": 8, "batch_size": 10, "lr": 0.03, "optimiser": "adam", "schedule": "constant"}
    attack = STEP.model_copy(update={"eps": 0.15, "step_size": 0.15})
    sure: list[float] = []
    for max_lpips in (0.01, 1.0):
        model = trained(recipe(attack=attack, max_lpips=max_lpips, rho=50, **cheap), images, y)
        x_adv = attack.perturb(
            model.requires_grad_(False), Batch(images, y, torch.arange(60)), Stream("x")
        ).x_adv
        assert (model(images).argmax(1) == y).all()
        sure.append(model(x_adv).softmax(1).amax(1).mean().item())
    assert sure[0] < sure[1] - 0.2


def test_the_defaults_are_the_authors() -> None:
    defence = make("defence", "lpips_ccat", {})
    assert isinstance(defence, LPIPSCCAT)
    attack: Any = defence.attack
    assert (defence.rho, defence.max_lpips, defence.distance) == (100, 0.03, "lpips_alex")
    assert (defence.optimiser, defence.lr, defence.decay, defence.batch_size) == (
        "sgd",
        0.075,
        0.95,
        100,
    )
    assert (defence.min_eps, attack.eps, attack.norm) == (4 / 255, 12 / 255, "linf")


def test_as_printed_it_perturbs_within_the_ball_at_whose_edge_half_of_the_label_is_left() -> None:
    printed = make("defence", "lpips_ccat_perceptual", {})
    assert isinstance(printed, LPIPSCCAT)
    attack: Any = printed.attack
    assert (attack.max_distance, attack.distance) == (printed.max_lpips, printed.distance)
    near = attack.model_copy(update={"distance": "laidlaw_self", "steps": 3})
    prepared = lesson_of(recipe(attack=near, max_lpips=0.03, distance="laidlaw_self"), net())
    assert (prepared.x[2:] != 0.5).flatten(1).any(1).all()
    assert (
        prepared.y.amax(1) >= 2 / 3 - 1e-3
    ).all()  # of three classes, half of the label and a third of the rest


def test_features_can_be_given_in_a_spec() -> None:
    given = {"model": {"use": "mlp", "hidden": [6]}, "file": "robust.pth", "sha256": "0" * 64}
    defence: Any = make("defence", "lpips_ccat", {"distance": "laidlaw_self", "features": given})
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
        ({"min_eps": 0.1}, r"no radius can be drawn from \[0.1, 0.05\]"),
        ({"min_eps": 0.1, "attack": Identity()}, r"no radius can be drawn from \[0.1, None\]"),
        (
            {"features": FeatureNet(model=MLP(), file="x", sha256="0" * 64)},
            "compared by distance laidlaw_self, not by",
        ),
    ],
    ids=[
        "a smallest radius above the largest",
        "an attack without radius",
        "features that nobody compares",
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**wrong)


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA is not set")
def test_lpips_on_alexnet_takes_the_label_of_what_can_be_seen_and_leaves_it_to_what_cannot() -> (
    None
):
    """Faint noise keeps more than half of its label, a strong pattern of the same model less."""
    defence = LPIPSCCAT(min_eps=None)
    x = (
        torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).expand(2, -1, -1, -1)
        * 0.2
        + 0.4
    )
    x_adv = x.clone()
    x_adv[0] += 0.002
    x_adv[1, :, ::4] += 0.4
    faint, strong = defence.label_weight(net(), x, x_adv).tolist()
    assert faint > 0.5
    assert strong < 0.05
