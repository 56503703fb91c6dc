"""Circles around sources of a classifier whose boundary is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from pair_examples import of_pairs
from shown import shown
from torch import Tensor, nn

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.source_plane import SourcePlane


class Step(nn.Module):
    """Class 1 where the first pixel is above 0.3, else class 0."""

    def forward(self, x: Tensor) -> Tensor:
        first = x.flatten(1)[:, 0] - 0.3
        return torch.stack([-first, first], dim=1)


MODEL = Step()


def attacked(first: float, second: float, pairs: int = 2) -> Examples:
    """Pairs with the black image as their source, moved along the first two pixels."""
    images = torch.zeros(4, 1, 2, 2)
    images[2:, 0, 0, 0] = 1
    ends = [(source, 2 + source) for source in range(pairs)]
    x_adv = torch.zeros(pairs, 1, 2, 2)
    x_adv[:, 0, 0, 0], x_adv[:, 0, 0, 1] = first, second
    return of_pairs(MODEL, images, torch.tensor([0, 0, 1, 1]), ends, x_adv)


def test_the_share_of_a_circle_beyond_a_line_is_an_arc() -> None:
    # circles of radius 0.5 and 2 around the source, 0.3 from the boundary
    score = SourcePlane(angles=3600).score(MODEL, attacked(0.5, 0.0), attacked(0.0, 2.0))
    rows = {row.where["circle"]: row for row in shown(score)}
    for circle, radius in (("attacked", 0.5), ("walked", 2.0)):
        assert rows[circle].value == pytest.approx(math.acos(0.3 / radius) / math.pi, abs=1e-3)


def test_the_picture_shows_the_boundary_and_both_images() -> None:
    score = SourcePlane(resolution=41, extent=1.0).score(
        MODEL, attacked(0.5, 0.0), attacked(0.0, 2.0)
    )
    regions = score.tensors["regions"]
    assert regions.shape == (1, 1, 41, 41)
    across = torch.linspace(-2, 2, 41)
    assert torch.equal(regions[0, 0], (across > 0.3).to(torch.uint8).expand(41, 41))
    assert score.tensors["radii"].tolist() == [0.5, 2.0]
    assert score.tensors["labels"].tolist() == [0, 0]
    assert score.tensors["point_attacked"].tolist() == [[0.5, 0.0]]
    assert score.tensors["point_walked"].tolist() == [[0.0, 2.0]]


def test_images_on_a_line_with_their_source_span_no_plane() -> None:
    with pytest.raises(InvspecError, match="no pair spans a plane"):
        SourcePlane().score(MODEL, attacked(0.5, 0.0), attacked(1.0, 0.0))


def test_both_attacks_ran_on_the_same_pairs() -> None:
    walked = attacked(0.0, 2.0)
    with pytest.raises(InvspecError, match="different examples"):
        SourcePlane().score(MODEL, attacked(0.5, 0.0, pairs=1), walked)
    other = replace(walked, judged=replace(walked.pairs, target=walked.pairs.target.flip(0)))
    with pytest.raises(InvspecError, match="different examples"):
        SourcePlane().score(MODEL, attacked(0.5, 0.0), other)
    turned = replace(walked, settings={"before": {"class": "attack:FixedRotation"}})
    with pytest.raises(InvspecError, match="different examples"):
        SourcePlane().score(MODEL, attacked(0.5, 0.0), turned)
