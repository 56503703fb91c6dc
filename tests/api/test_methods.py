"""Attacks and measures that are called on one's own nets and tensors."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import invspec
from invspec.attacks.pgd import PGD
from invspec.errors import InvspecError, SpecError
from invspec.ops.shares import wilson

CLASSES = 3


def net(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(), nn.Linear(8, CLASSES))


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(20, 1, 4, 4, generator=generator), torch.arange(20) % CLASSES


def pairs(images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = images
    return x, y, x.roll(1, 0), y.roll(1, 0)


@pytest.fixture
def walked(images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y, x_target, y_target = pairs(images)
    other = y != y_target
    return x[other], y[other], x_target[other], y_target[other]


def test_an_attack_is_that_of_the_registry_and_is_judged(images: tuple[Tensor, Tensor]) -> None:
    model = net().eval()
    attacked = invspec.attack("pgd", eps="8/255", steps=3)(model, *images)
    x, y = images
    assert (attacked.x_adv - x).abs().max() <= 8 / 255 + 1e-6
    assert attacked.x_adv.min() >= 0
    assert attacked.x_adv.max() <= 1
    judged = attacked.judged
    assert torch.equal(judged.y, y)
    assert torch.equal(judged.prediction, model(x).argmax(1))
    assert torch.equal(judged.prediction_adv, model(attacked.x_adv).argmax(1))
    torch.testing.assert_close(judged.linf, (attacked.x_adv - x).flatten(1).abs().amax(1))
    assert judged.forwards.min() >= 3
    frame = attacked.frame()
    assert list(frame["confidence_adv"]) == pytest.approx(judged.confidence_adv.tolist())
    assert len(frame) == len(x)


def test_batch_size_and_order_change_no_number(images: tuple[Tensor, Tensor]) -> None:
    attack = invspec.attack("pgd", eps=0.1, steps=3, random_start=True)
    alone, together = (attack(net(), *images, batch_size=size) for size in (3, 20))
    assert torch.equal(alone.x_adv, together.x_adv)


def test_a_seed_names_the_draws(images: tuple[Tensor, Tensor]) -> None:
    attack = invspec.attack("pgd", eps=0.1, steps=1, relative_step_size=0.1, random_start=True)
    first, again, other = (attack(net(), *images, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x_adv, again.x_adv)
    assert not torch.equal(first.x_adv, other.x_adv)


def test_the_net_is_left_as_it_was(images: tuple[Tensor, Tensor]) -> None:
    model = net().train()
    model[1].eval()
    model[3].weight.requires_grad_(False)
    attacked = invspec.attack("pgd", eps=0.1, steps=2)(model, *images)
    invspec.measure("accuracy")(model, attacked)
    assert [module.training for module in model] == [True, False, True, True]
    assert [weight.requires_grad for weight in model.parameters()] == [True, True, False, True]
    assert all(weight.grad is None for weight in model.parameters())


def test_a_measure_gives_its_numbers_with_intervals(images: tuple[Tensor, Tensor]) -> None:
    model = net()
    attacked = invspec.attack("pgd", eps=0.3, steps=5)(model, *images)
    frame = invspec.measure("robust_accuracy")(model, attacked)
    right = (attacked.judged.prediction_adv == attacked.judged.y).double().mean().item()
    low, high = wilson(right, 20)
    (row,) = frame.to_dict("records")
    assert row == {
        "value": pytest.approx(right),
        "low": pytest.approx(low),
        "high": pytest.approx(high),
        "n": 20,
    }


def test_walks_go_to_their_targets(walked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, y, x_target, y_target = walked
    attacked = invspec.attack("nspgd", steps=5)(net(), x, y, x_target, y_target)
    assert torch.equal(attacked.pairs.y_target, y_target)
    before, after = ((image - x_target).flatten(1).norm(dim=1) for image in (x, attacked.x_adv))
    assert (after <= before + 1e-5).all()
    assert after.mean() < before.mean()
    frame = invspec.measure("final_distance", distance="l2")(net(), attacked)
    assert list(frame["quantile"]) == [0.25, 0.5, 0.75]
    assert frame["value"].iloc[1] == pytest.approx(after.median().item(), rel=0.1)


def test_a_path_is_kept_where_an_attack_keeps_one(
    walked: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    kept = invspec.attack("nspgd", steps=5, keep_path=True)(net(), *walked)
    assert kept.path is not None
    assert kept.path.shape[2:] == (1, 4, 4)
    assert invspec.attack("nspgd", steps=5)(net(), *walked).path is None


def test_fields_may_hold_methods() -> None:
    attack = invspec.attack(
        "union_max", attacks=[{"use": "pgd", "eps": 0.1}, {"use": "fgsm", "eps": 0.1}]
    )
    inner = vars(attack.method)["attacks"]
    assert isinstance(inner[0], PGD)


def test_an_oracle_is_given_as_a_net(walked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    attacked = invspec.attack("nspgd", steps=2)(net(), *walked)
    measure = invspec.measure("metamer_label", among="all")
    with pytest.raises(SpecError, match="needs an oracle"):
        measure(net(), attacked)
    oracle = net(1).train()
    frame = measure(net(), attacked, oracle=oracle).set_index("quantity")
    seen = oracle.eval()(attacked.x_adv).argmax(1)
    expected = (seen == attacked.pairs.y_target).double().mean().item()
    assert frame.loc["nuisance", "value"] == pytest.approx(expected)


class Counting(nn.Module):
    """Its answer to an image hangs on the others of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return (flat - flat.mean(0))[:, :CLASSES] * 100


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :CLASSES] + torch.rand(len(x), CLASSES)


def test_a_net_that_is_no_function_of_the_image_is_refused(images: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InvspecError, match="net Counting"):
        invspec.attack("pgd", eps=0.1)(Counting(), *images)


def test_a_net_that_draws_is_warned_of(images: tuple[Tensor, Tensor]) -> None:
    with pytest.warns(UserWarning, match="net Noisy"):
        invspec.attack("fgsm", eps=0.1)(Noisy(), *images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.rand(4, 16)}, r"expected x \(N, C, H, W\), float32 or uint8, found \(4, 16\)"),
        ({"x": torch.rand(20, 1, 4, 4).double()}, "found .* float64"),
        ({"x": torch.rand(20, 1, 4, 4) + 1}, "the images given"),
        ({"y": torch.zeros(3).long()}, r"expected y \(20,\) int64"),
        ({"y": torch.zeros(20)}, "found .* float32"),
        ({"x_target": torch.rand(20, 1, 4, 4)}, "x_target and y_target belong together"),
        (
            {"x_target": torch.rand(20, 1, 5, 5), "y_target": torch.full((20,), 9)},
            "expected a target of the same shape",
        ),
        (
            {"x_target": torch.rand(20, 1, 4, 4), "y_target": torch.arange(20) % CLASSES},
            "a target has the label of its image",
        ),
        (
            {"x_target": torch.full((20, 1, 4, 4), 7.0), "y_target": torch.full((20,), 9)},
            "x_target: pixels run from 7 to 7, expected 0 to 1",
        ),
        (
            {"x_target": torch.full((20, 1, 4, 4), torch.nan), "y_target": torch.full((20,), 9)},
            "x_target: pixels of 20 of 20 images are not finite",
        ),
        (
            {
                "x_target": torch.zeros(20, 1, 4, 4, dtype=torch.uint8),
                "y_target": torch.full((20,), 9),
            },
            "expected x_target and x of one dtype, found uint8 and float32",
        ),
    ],
)
def test_tensors_of_another_form_are_refused(
    images: tuple[Tensor, Tensor], change: dict[str, Tensor], message: str
) -> None:
    given = {"x": images[0], "y": images[1], **change}
    with pytest.raises(InvspecError, match=message):
        invspec.attack("pgd", eps=0.1, steps=1)(net(), **given)


class Wide(nn.Module):
    """A net for other images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(25, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": lambda x: x}, "expected a torch.nn.Module, found a function"),
        ({"model": net().double()}, "net Sequential has weights in float64"),
        ({"model": Wide()}, "net Wide cannot take images of 1x4x4"),
        ({"x": np.zeros((20, 1, 4, 4), np.float32)}, "expected x as a tensor, found a numpy.nd"),
        ({"y": [0] * 20}, "expected y as a tensor, found a list"),
        ({"y": torch.arange(20)}, "the net has 3 logits, and y is from 0 to 19"),
        ({"batch_size": 0}, "expected batch_size 1 or more, found 0"),
        ({"model": nn.Identity()}, r"returns \(16, 1, 4, 4\), expected logits \(16, classes\)"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))},
            r"returns \(16,\), exp",
        ),
    ],
    ids=[
        *("a function", "float64", "another size", "numpy", "a list", "labels", "no batch"),
        *("images", "one number"),
    ],
)
def test_what_cannot_be_attacked_is_refused(
    images: tuple[Tensor, Tensor], change: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"model": net(), "x": images[0], "y": images[1], **change}
    with pytest.raises(InvspecError, match=message):
        invspec.attack("pgd", eps=0.1, steps=1)(**given)


def test_autocast_is_refused(images: tuple[Tensor, Tensor]) -> None:
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(InvspecError, match="judged in float32, not in the type of autocast"),
    ):
        invspec.attack("pgd", eps=0.1, steps=1)(net(), *images)


@pytest.mark.parametrize("name", ["metamer", "null_step", "pgd_kamath"])
def test_a_net_without_what_an_attack_needs_is_refused(
    walked: tuple[Tensor, Tensor, Tensor, Tensor], name: str
) -> None:
    with pytest.raises(SpecError, match="does not fit Sequential") as caught:
        invspec.attack(name)(net(), *walked)
    assert "it needs" in str(caught.value)


def test_inference_mode_is_refused_and_no_grad_is_not(images: tuple[Tensor, Tensor]) -> None:
    attack = invspec.attack("pgd", eps=0.1, steps=1)
    with torch.inference_mode(), pytest.raises(InvspecError, match="need gradients"):
        attack(net(), *images)
    with torch.no_grad():
        attack(net(), *images)


def test_images_may_be_uint8(images: tuple[Tensor, Tensor]) -> None:
    levels = (images[0] * 255).round().to(torch.uint8)
    attack = invspec.attack("pgd", eps=0.1, steps=1)
    first, second = (attack(net(), x, images[1]) for x in (levels, levels / 255))
    assert torch.equal(first.x_adv, second.x_adv)


def test_a_measure_takes_what_attacks_gave(images: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(SpecError, match="takes attacked images, found a Tensor"):
        invspec.measure("accuracy")(net(), images[0])  # pyright: ignore[reportArgumentType]


def test_a_walk_without_targets_is_refused(images: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InvspecError, match="needs a target for each image"):
        invspec.attack("nspgd")(net(), *images)


def test_what_a_measure_lacks_is_said(images: tuple[Tensor, Tensor]) -> None:
    attacked = invspec.attack("fgsm", eps=0.1)(net(), *images)
    with pytest.raises(SpecError, match="takes 1, found 0 attacks"):
        invspec.measure("accuracy")(net())
    with pytest.raises(SpecError, match="takes 2, found 1 attack"):
        invspec.measure("subspace_angle")(net(), attacked)
    with pytest.raises(SpecError, match="needs an attack on pairs"):
        invspec.measure("success_rate")(net(), attacked)
    with pytest.raises(SpecError, match="reads a sweep of a spec"):
        invspec.measure("area_under_profile")(net(), attacked)


def test_names_and_fields_that_there_are_not_are_refused() -> None:
    with pytest.raises(SpecError, match="did you mean pgd"):
        invspec.attack("pgdd")
    with pytest.raises(SpecError, match="did you mean eps"):
        invspec.attack("pgd", epss=0.1)
    with pytest.raises(SpecError, match="needs a generator"):
        invspec.attack("generated_walk")


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("pgd", {"epss": 1}, "pgd.epss: PGD has no such parameter"),
        ("pgd", {"eps": -1, "steps": 0}, "pgd.eps: expected at least 0, found -1"),
        (None, {}, "expected the name of an attack or a measure, found None"),
    ],
)
def test_an_error_names_the_field(name: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        invspec.attack(name, **fields)
    assert message in str(caught.value)


def test_nothing_warns(images: tuple[Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        invspec.measure("accuracy")(net(), invspec.attack("identity")(net(), *images))


def test_a_notebook_shows_images_before_and_after(images: tuple[Tensor, Tensor]) -> None:
    attacked = invspec.attack("pgd", eps=0.1, steps=2)(net(), *images)
    text, shown = repr(attacked), attacked._repr_html_()
    assert text.startswith("<PGD (eps 0.1, steps 2) on 20 images: accuracy ")
    assert "median linf 0.1, l2" in text
    assert text[1:-1] in shown
    rows = re.findall(r"<tr><td>(\d+)</td><td>(\d+)</td>", shown)
    assert [int(label) for _, label in rows] == images[1][:6].tolist()
    assert "data:image/webp;base64," in shown


def test_points_are_not_drawn_in_a_notebook() -> None:
    points = nn.Sequential(nn.Flatten(), nn.Linear(5, CLASSES))
    attacked = invspec.attack("identity")(points, torch.rand(4, 1, 1, 5), torch.arange(4) % CLASSES)
    assert "on 4 images" in attacked._repr_html_()
    assert "<img" not in attacked._repr_html_()
