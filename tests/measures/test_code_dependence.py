"""Gaussian codes whose two parts have a known mutual information."""

from __future__ import annotations

import math

import pytest
import torch
from channels import D, Turned, examples, images
from shown import shown

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.code_dependence import CodeDependence, pairing_loss

QUICK = {"hidden": 64, "epochs": 10, "batch_size": 128, "lr": 0.003, "width": 16}


def gaussian(correlation: float, seed: int, n: int = 4000) -> Examples:
    """Codes in which the first logit and the last number have a correlation."""
    generator = torch.Generator().manual_seed(seed)
    code = torch.randn(n, D, generator=generator)
    code[:, -1] = correlation * code[:, 0] + math.sqrt(1 - correlation**2) * code[:, -1]
    return examples(images(Turned(), code, torch.arange(n) % 2))


def rows(correlation: float, **fields: object) -> dict[str, float]:
    measure = CodeDependence.model_validate({**QUICK, **fields})
    score = measure.score(Turned(), gaussian(correlation, 1), gaussian(correlation, 2))
    return {str(row.where["quantity"]): row.value for row in shown(score)}


@pytest.mark.parametrize("correlation", [0.8, 0.95])
def test_the_bound_is_below_the_information_and_not_far_below(correlation: float) -> None:
    known = -math.log2(1 - correlation**2) / 2
    # 0.05: three standard errors of a mean over 4,000 images, and no more can be above
    assert 0.75 * known < rows(correlation)["bits"] < known + 0.05


def test_independent_parts_have_no_bits() -> None:
    found = rows(0.0)
    assert found["bits"] == max(found["bits_unclipped"], 0)
    assert -0.1 < found["bits_unclipped"] < 0.02


def test_the_bound_cannot_exceed_the_logarithm_of_the_batch() -> None:
    found = rows(0.9999, batch_size=4, epochs=3)
    assert found["ceiling_bits"] == 2
    assert 1.3 < found["bits"] <= 2  # of 6.1 bits
    assert CodeDependence(batch_size=4).range_of("ceiling_bits") == (0, 2)


def test_a_critic_that_finds_less_than_nothing_has_no_bits() -> None:
    """One epoch on few images: the bound is negative, and bits are clipped."""
    few, judged = gaussian(0.0, 1, n=12), gaussian(0.0, 2, n=12)
    measure = CodeDependence(hidden=64, epochs=30, batch_size=4, lr=0.03, validation=0)
    found = {row.where["quantity"]: row for row in shown(measure.score(Turned(), few, judged))}
    assert found["bits_unclipped"].value < 0
    assert found["bits"].value == 0


def test_scores_without_a_preference_find_nothing_and_perfect_ones_everything() -> None:
    assert pairing_loss(torch.zeros(8, 8)).tolist() == pytest.approx([math.log(8)] * 8)
    assert pairing_loss(100 * torch.eye(8)).tolist() == pytest.approx([0] * 8)


def test_fewer_images_than_a_batch_are_refused() -> None:
    few = gaussian(0.5, 1, n=100)
    with pytest.raises(InvspecError, match="fewer than batch_size 128"):
        CodeDependence.model_validate({**QUICK, "validation": 0}).score(Turned(), few, few)
