"""The generator's loss in closed form, its pairs, and what training makes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.walk_generator import NO_TARGET, WalkGenerator, with_targets
from invspec.models.unet import UNet
from invspec.ops.draws import Stream


class FirstPixel(nn.Module):
    """Class 0 has the confidence sigmoid(4 * (first pixel - 1/2))."""

    def forward(self, x: Tensor) -> Tensor:
        z = 4 * (x.flatten(1)[:, 0] - 0.5)
        return torch.stack([z, torch.zeros_like(z)], dim=1)


class Fixed(nn.Module):
    """A generator that makes one image of all pairs."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = nn.Parameter(image)

    def forward(self, pair: Tensor) -> Tensor:
        return self.image.expand(len(pair), *self.image.shape)


def batch(x: Tensor, y: list[int]) -> Batch:
    return Batch(x, torch.tensor(y), torch.arange(len(y)))


def two() -> Batch:
    """A white and a black image of two classes, each the target of the other."""
    x = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)])
    return WalkGenerator(distance="rmse").prepare(FirstPixel(), batch(x, [0, 1]), Stream("pairs"))


def numbers(defence: WalkGenerator, image: Tensor) -> dict[str, float]:
    loss = defence.loss(FirstPixel(), Fixed(image), two())
    return {"loss": loss.value.item()} | {name: of.item() for name, of in loss.metrics.items()}


GREY = torch.full((1, 2, 2), 0.5)
CONFIDENCE = 1 / (1 + math.exp(-2))  # of both images in their classes; 1/2 at the grey image


def test_targets_have_other_labels() -> None:
    x = torch.rand(40, 1, 2, 2)
    labels = [k % 4 for k in range(40)]
    pairs = with_targets(batch(x, labels), Stream("pairs"))
    assert pairs.y_target is not None
    assert (pairs.y_target != pairs.y).all()
    where = [(x == target).flatten(1).all(1).nonzero().item() for target in pairs.targets]
    assert pairs.y_target.tolist() == [labels[int(place)] for place in where]
    assert len(set(where)) > 10  # drawn, not always the same


def test_a_source_without_an_image_of_another_label_does_not_count() -> None:
    pairs = with_targets(batch(torch.rand(3, 1, 2, 2), [1, 1, 1]), Stream("pairs"))
    assert pairs.y_target is not None
    assert pairs.y_target.tolist() == [NO_TARGET] * 3
    loss = WalkGenerator(distance="rmse").loss(FirstPixel(), Fixed(GREY), pairs)
    assert loss.value.item() == 0


def test_the_label_is_the_classifiers() -> None:
    x = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)])
    # the labels of the data are the other way round
    pairs = WalkGenerator().prepare(FirstPixel(), batch(x, [1, 0]), Stream("pairs"))
    assert pairs.y.tolist() == [0, 1]


def test_the_loss_is_the_distance_plus_the_confidence_that_is_lost() -> None:
    found = numbers(WalkGenerator(distance="rmse", weight=3, aimed_drop=0.02), GREY)
    term = math.log(CONFIDENCE - 0.02) - math.log(0.5)
    assert found["distance"] == pytest.approx(0.5)
    assert found["term"] == pytest.approx(term)
    assert found["loss"] == pytest.approx(0.5 + 3 * term)


def test_confidence_that_is_kept_but_for_the_aimed_drop_costs_nothing() -> None:
    assert numbers(WalkGenerator(distance="rmse", aimed_drop=0.4), GREY)["term"] == 0


def test_match_is_the_squared_distance_of_centred_logits_relative_to_those_of_the_source() -> None:
    # logits (2, 0) and (-2, 0) of the sources, (0, 0) of the image: all is lost
    defence = WalkGenerator(distance="rmse", objective="match")
    assert numbers(defence, GREY)["term"] == pytest.approx(1)
    # (1, 0): half of the way from one, three halves from the other
    lighter = torch.full((1, 2, 2), 0.75)
    assert numbers(defence, lighter)["term"] == pytest.approx((0.25 + 2.25) / 2)
    # a shift of all logits is no gap
    logits, label = torch.tensor([[3.0, 1.0]]), torch.tensor([0])
    matched = WalkGenerator(objective="match").kept(logits + 5, logits, label)
    assert matched.item() == pytest.approx(0, abs=1e-6)


def test_total_variation_is_that_of_the_image_minus_the_target() -> None:
    image = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    plain, rough = (
        numbers(WalkGenerator(distance="rmse", tv_weight=weight), image)["loss"]
        for weight in (0.0, 2.0)
    )
    # two differences of 1 among four pixels, for either target
    assert rough - plain == pytest.approx(2 * 2 / 4)


def test_images_are_clamped_before_they_are_judged() -> None:
    outside, inside = (numbers(WalkGenerator(distance="rmse"), GREY + by) for by in (9.0, 0.5))
    assert outside == inside


def data() -> TensorSplit:
    """Noise whose first pixel says its class."""
    y = torch.arange(64) % 2
    pixels = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    pixels[:, 0, 0, 0] = 1.0 - y
    return TensorSplit(pixels, y)


def test_training_finds_that_only_the_first_pixel_must_stay() -> None:
    # the closed form: the target with the first pixel of the source, but for the aimed drop
    torch.manual_seed(0)
    generator = UNet(widths=(8, 16)).build((1, 4, 4), 2)
    defence = WalkGenerator(epochs=60, batch_size=32, lr=0.01, distance="rmse", weight=2)
    curves = defence.train_against(generator, FirstPixel(), data(), Stream("training"), Journal())
    assert curves["distance"][-1] < 0.35
    assert curves["term"][-1] < 0.1 < curves["term"][0]
    pairs = defence.prepare(FirstPixel(), next(iter(data().batches(64))), Stream("test"))
    with torch.no_grad():
        made = generator(torch.cat([pairs.x, pairs.targets], dim=1)).clamp(0, 1)
    assert (FirstPixel()(made).argmax(1) == pairs.y).float().mean() > 0.9
    others = (made - pairs.targets).flatten(1)[:, 1:].abs().mean()
    assert others < 0.1


def test_the_classifier_is_left_as_it_is() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(16, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.flatten(1))

    torch.manual_seed(0)
    classifier = Linear().eval().requires_grad_(False)
    before = classifier.net.weight.clone()
    generator = UNet(widths=(4,)).build((1, 4, 4), 2)
    WalkGenerator(epochs=1, distance="rmse").train_against(
        generator, classifier, data(), Stream("training"), Journal()
    )
    assert classifier.net.weight.equal(before)
    assert classifier.net.weight.grad is None
    assert not classifier.training


def test_a_generator_is_not_trained_alone() -> None:
    with pytest.raises(AssertionError, match="against a classifier"):
        WalkGenerator().train(nn.Identity(), data(), Stream("training"), Journal())


def test_generators_against_two_classifiers_see_the_same_pairs() -> None:
    class Other(FirstPixel):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(1 - x)

    first, other = (
        WalkGenerator().prepare(net, next(iter(data().batches(64))), Stream("pairs"))
        for net in (FirstPixel(), Other())
    )
    assert torch.equal(first.targets, other.targets)
    assert not torch.equal(first.y, other.y)
    assert torch.equal(replace(first, y=other.y).x, other.x)
