"""Theorem 8 of Jacobsen et al.: where the nuisance knows nothing of the label, the logits know all
there is to know.

Its proof takes I(y; z_s | z_n) = I(y; z_s) from I(y; z_n) = 0. That needs a nuisance that is
independent of label and logits together, which is what the likelihood under a factorial prior asks
for; independence of each is not enough.
"""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from bijections import CLASSES, LinearBijection, orthogonal, told_twice
from torch import Tensor

from invspec.data import Journal
from invspec.defences.independence_ce import IndependenceCE
from invspec.ops.draws import Stream

N = 4096
SAMPLING = 4 * 0.5 / N**0.5  # four standard errors of a share


# ─ exactly, on finite alphabets ───────────────────────────────────────────────────────────────────


def accuracy(joint: Tensor) -> float:
    """Of the best classifier that sees all but the first axis: joint (K, ...), the label comes
    first.
    """
    return joint.amax(0).sum().item()


def shares(*shape: int, seed: int) -> Tensor:
    """Positive numbers that add up to 1 over the last axis."""
    drawn = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.sum(-1, keepdim=True)


def information(joint: Tensor) -> float:
    """Mutual information of the two axes, in nats."""
    independent = joint.sum(0, keepdim=True) * joint.sum(1, keepdim=True)
    return (joint * (joint / independent).log()).nansum().item()


@pytest.mark.parametrize("seed", range(5))
def test_under_any_shift_that_keeps_the_nuisance_independent_both_accuracies_are_equal(seed):
    label_and_logits = shares(3 * 7, seed=seed).view(3, 7, 1)
    for shift in range(3):  # the training distribution, and two others of the nuisance
        nuisance = shares(5, seed=100 + shift)
        joint = label_and_logits * nuisance
        assert information(joint.sum(1)) == pytest.approx(0, abs=1e-12)
        assert accuracy(joint.sum(2)) == pytest.approx(accuracy(joint), abs=1e-12)


def test_a_nuisance_that_is_independent_of_the_label_alone_may_still_help():
    """y = z_s xor z_n: each of the two knows nothing of y, or of the other; together they know
    it.
    """
    joint = torch.zeros(2, 2, 2, dtype=torch.float64)
    for semantic in range(2):
        for nuisance in range(2):
            joint[semantic ^ nuisance, semantic, nuisance] = 0.25
    for pair in (joint.sum(1), joint.sum(0)):
        assert information(pair) == pytest.approx(0, abs=1e-12)
    assert (accuracy(joint.sum(2)), accuracy(joint)) == (0.5, 1)


# ─ learnt ─────────────────────────────────────────────────────────────────────────────────────────


@cache
def trained(nuisance_weight: float, mle_weight: float, epochs: int = 16) -> LinearBijection:
    """On two pixels that tell the label with independent noise: their sum knows all of it, their
    difference nothing.
    """
    recipe = IndependenceCE(
        epochs=epochs,
        batch_size=256,
        optimiser="adam",
        lr=0.02,
        schedule="cosine",
        dequantise=False,
        nuisance_hidden=(),
        nuisance_lr=0.05,
        nuisance_steps=1,
        nuisance_objective="uniform_kl",
        nuisance_weight=nuisance_weight,
        mle_weight=mle_weight,
    )
    model = LinearBijection(orthogonal())
    recipe.train(model, told_twice(N), Stream("key"), Journal())
    return model.requires_grad_(False)


def independent() -> LinearBijection:
    return trained(nuisance_weight=1.0, mle_weight=1.0)


def entropic(epochs: int) -> LinearBijection:
    return trained(nuisance_weight=0.0, mle_weight=0.0, epochs=epochs)


def fitted(code: Tensor, y: Tensor, tested: Tensor, y_tested: Tensor) -> float:
    """Accuracy on other codes of the least-squares classifier of two classes, which for these
    Gaussians is the best.
    """

    def with_one(code: Tensor) -> Tensor:
        return torch.cat([code, torch.ones(len(code), 1)], dim=1)

    weight = torch.linalg.lstsq(with_one(code), 2.0 * y - 1).solution
    return ((with_one(tested) @ weight > 0) == (y_tested == 1)).double().mean().item()


def accuracies(model: LinearBijection, shifted: bool) -> dict[str, float]:
    """Of classifiers that learn from part of the code of the training distribution, on it or after
    the shift.

    The shift gives every image the nuisance of another one of the other class: what the nuisance
    knew is wrong.
    """
    train, test = told_twice(N, seed=1), told_twice(N, seed=2)
    parts = {}
    for name, split in (("train", train), ("test", test)):
        semantic, nuisance = model.encode(split.pixels)
        if shifted and name == "test":
            semantic, nuisance = model.encode(
                model.decode(semantic, nuisance.roll(1, 0))
            )  # labels alternate
        parts[name] = {
            "semantic": semantic,
            "nuisance": nuisance,
            "all": torch.cat([semantic, nuisance], dim=1),
        }
    return {
        part: fitted(parts["train"][part], train.y, parts["test"][part], test.y)
        for part in parts["train"]
    }


BEST = 0.5 * (1 + math.erf(1))  # of the sum, whose mean is sqrt(2) deviations from the middle


def test_the_logits_of_independence_cross_entropy_know_all_there_is_to_know_under_the_shift_too():
    before, after = (accuracies(independent(), shifted) for shifted in (False, True))
    assert before["nuisance"] == pytest.approx(
        1 / CLASSES, abs=0.05
    )  # plain cross-entropy: above 0.7
    assert before["semantic"] == pytest.approx(BEST, abs=SAMPLING)
    for found in (before, after):
        assert found["all"] == pytest.approx(found["semantic"], abs=0.005)


@pytest.mark.parametrize(
    ("epochs", "falls"), [(2, 0.1), (16, 0.01)], ids=["logits lack some", "logits lack nothing"]
)
def test_the_nuisance_of_plain_cross_entropy_knows_the_label_and_misleads_after_the_shift(
    epochs, falls
):
    """It misleads by as much as is left to it: the less of the label the logits know, the more it
    counts.
    """
    before, after = (accuracies(entropic(epochs), shifted) for shifted in (False, True))
    assert before["nuisance"] > 0.7
    assert before["all"] > before["semantic"] - 0.005
    assert after["all"] < after["semantic"] - falls
