"""The confidence that is left at the end of walks whose images are written down."""

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import index, outcomes, shown

from invspec.measures.source_confidence import SourceConfidence

MODEL = FirstPixels(2)


def attacked(final: torch.Tensor):
    """Two sources of class 0 with two targets each; the first two pixels are the logits."""
    images = torch.zeros(4, 1, 2, 2)
    images[:2, 0, 0, 0] = 1
    images[2:, 0, 0, 1] = 1
    x_adv = torch.zeros(4, 1, 2, 2)
    x_adv[:, 0, 0, 0] = final
    return of_pairs(
        MODEL, images, torch.tensor([0, 0, 1, 1]), [(0, 2), (0, 3), (1, 2), (1, 3)], x_adv
    )


FINAL = torch.tensor([0.0, 1.0, 0.5, 0.5])
LEFT = FINAL.sigmoid()


def test_it_is_the_mean_over_pairs_with_an_outcome_per_source():
    score = SourceConfidence().score(MODEL, attacked(FINAL))
    (row,) = shown(score)
    assert row.value == pytest.approx(LEFT.mean().item(), abs=1e-6)
    assert outcomes(score).tolist() == pytest.approx(
        [LEFT[:2].mean().item(), LEFT[2:].mean().item()], abs=1e-6
    )
    assert index(score).tolist() == [0, 1]


def test_the_drop_is_the_difference_from_the_source():
    (row,) = shown(SourceConfidence(drop=True).score(MODEL, attacked(FINAL)))
    assert row.value == pytest.approx(
        torch.tensor(1.0).sigmoid().item() - LEFT.mean().item(), abs=1e-6
    )
    assert row.low <= row.value <= row.high


def test_an_unmoved_image_has_no_drop():
    (row,) = shown(SourceConfidence(drop=True).score(MODEL, attacked(torch.ones(4))))
    assert row.value == pytest.approx(0, abs=1e-6)
