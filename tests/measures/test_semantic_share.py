"""A classifier that reads one pixel, an oracle that reads another, and all four kinds of change."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from columns import filled
from shown import Shown, shown
from torch import Tensor, nn

from invspec.analysis.intervals import wilson
from invspec.attacks.sphere_shift import SphereShift
from invspec.data import Examples, TensorSplit
from invspec.datasets.spheres import Spheres
from invspec.measures.semantic_share import SemanticShare
from invspec.models.radius_classifier import RadiusClassifier
from invspec.ops.draws import PerExample
from invspec.perform.proxies import Padded


class Pixel(nn.Module):
    """Label 1 where one pixel is above one half: logits (0, slope * (pixel - 1/2))."""

    def __init__(self, which: int, slope: float = 1.0) -> None:
        super().__init__()
        self.which, self.slope = which, slope

    def forward(self, x: Tensor) -> Tensor:
        z = self.slope * (x.flatten(1)[:, self.which] - 0.5)
        return torch.stack([torch.zeros_like(z), z], dim=1)


SEEN, TRUE = Padded(Pixel(0)), Padded(Pixel(1))
LOW, HIGH = 0.25, 0.75


def examples(
    before: list[tuple[float, float]], after: list[tuple[float, float]], y: list[int] | None = None
) -> Examples:
    """Images of two pixels: the classifier reads the first, the oracle the second."""
    x, x_adv = (torch.tensor(pixels).view(-1, 1, 1, 2) for pixels in (before, after))
    labels = TRUE(x).argmax(1) if y is None else torch.tensor(y)
    return Examples(
        TensorSplit(x, labels),
        filled({"y": labels, "index": torch.arange(len(x))}),
        {"x_adv": x_adv},
        oracle=TRUE,
    )


def rows(attacked: Examples, model: nn.Module = SEEN, **fields: object) -> dict[str, Shown]:
    found = shown(SemanticShare(**fields).score(model, attacked))  # pyright: ignore[reportArgumentType]
    return {str(row.where["quantity"]): row for row in found}


def values(attacked: Examples, **fields: object) -> dict[str, float]:
    return {name: row.value for name, row in rows(attacked, **fields).items()}


def test_the_four_kinds_of_change_are_distinguished() -> None:
    start = [(LOW, LOW)] * 4
    found = values(examples(start, [(LOW, LOW), (LOW, HIGH), (HIGH, LOW), (HIGH, HIGH)]))
    assert found == {
        "semantic": 0.5,
        "nuisance": 0.5,
        "invariance_adversarial": 0.25,
        "invariance_adversarial_logits": 0.25,
        "perturbation_adversarial": 0.25,
        "agreement": 0.5,
        "oracle_accuracy": 1,
    }


def test_moved_logits_with_the_same_label_count_for_the_label_alone() -> None:
    attacked = examples([(0.25, LOW), (0.25, LOW)], [(0.125, HIGH), (0.25, HIGH)])
    found = values(attacked)
    assert (found["invariance_adversarial"], found["invariance_adversarial_logits"]) == (1, 0.5)
    assert values(attacked, tolerance=0.125)["invariance_adversarial_logits"] == 1


def test_a_classifier_that_was_wrong_before_is_not_perturbed() -> None:
    found = values(examples([(HIGH, LOW), (LOW, LOW)], [(HIGH, LOW), (HIGH, LOW)]))
    assert (found["perturbation_adversarial"], found["agreement"]) == (0.5, 0)


def test_the_oracle_is_judged_by_the_labels() -> None:
    images = [(LOW, LOW), (LOW, HIGH), (LOW, HIGH), (LOW, HIGH)]
    row = rows(examples(images, images, y=[0, 1, 1, 0]))["oracle_accuracy"]
    assert (row.value, row.n) == (0.75, 4)
    assert (row.low, row.high) == wilson(0.75, 4)


def test_pairs_are_counted_and_bootstrapped_by_source() -> None:
    images = [(LOW, LOW), (LOW, HIGH), (LOW, HIGH), (LOW, HIGH)]
    attacked = examples(images, images, y=[0, 0, 1, 1])
    row = rows(
        replace(
            attacked, judged=filled({**vars(attacked.judged), "source": torch.tensor([5, 5, 9, 9])})
        )
    )["oracle_accuracy"]
    assert (row.value, row.n) == (0.75, 2)
    assert 0.1 < row.low < 0.5
    assert 0.9 < row.high <= 1


def test_exact_images_are_judged_in_float64() -> None:
    attacked = examples([(0.5, LOW)], [(0.5, HIGH)])
    moved = attacked.tensors["x_adv"].double()
    moved[..., 0] += 1e-12
    exact = replace(attacked, tensors={**attacked.tensors, "exact": moved})
    assert values(attacked, tolerance=0)["invariance_adversarial"] == 1
    assert values(exact, tolerance=0)["invariance_adversarial"] == 0  # label 1, where it was 0


def test_the_oracle_sees_clipped_images_unless_clip_is_false() -> None:
    class Bright(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z = x.flatten(1)[:, 1] - 1.5
            return torch.stack([-z, z], dim=1)

    attacked = replace(examples([(LOW, LOW)], [(LOW, 2.0)]), oracle=Bright())
    assert values(attacked)["semantic"] == 0
    assert values(attacked, clip=False)["semantic"] == 1


@pytest.mark.parametrize(
    ("ignored", "adversarial"), [(1, 1.0), (0, 0.0)], ids=["misaligned", "aligned"]
)
def test_example_6_is_invariance_based_for_the_misaligned_classifier_alone(
    ignored: int, adversarial: float
) -> None:
    dataset = Spheres(d=20, test=400)
    (batch,) = dataset.load("test").batches(400)
    inner = batch.take(batch.y == 0)
    model, oracle = (RadiusClassifier(ignored=k).build(dataset.shape, 2) for k in (ignored, 0))
    x_adv = SphereShift().perturb(model, inner, PerExample("task", inner.index)).x_adv
    clean = TensorSplit(inner.x, inner.y, bounds=(-math.inf, math.inf))
    found = values_of(
        model,
        Examples(
            clean, filled({"y": inner.y, "index": clean.index}), {"x_adv": x_adv}, oracle=oracle
        ),
    )
    assert found["semantic"] == found["oracle_accuracy"] == 1
    assert found["invariance_adversarial"] == found["invariance_adversarial_logits"] == adversarial
    assert found["perturbation_adversarial"] == 0
    assert found["agreement"] == 1 - adversarial


def values_of(model: nn.Module, attacked: Examples) -> dict[str, float]:
    return {name: row.value for name, row in rows(attacked, Padded(model)).items()}
