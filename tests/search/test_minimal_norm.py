"""The nearest adversarial image so far, and the steps of minimum-norm attacks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from invspec.data import Batch
from invspec.search.minimal_norm import Nearest, ascent, cosine, shrink
from invspec.search.search import Search


def test_only_nearer_adversarial_images_are_kept() -> None:
    x = torch.zeros(3, 1, 1, 2)
    batch = Batch(x, torch.zeros(3, dtype=torch.int64), torch.arange(3))
    nearest = Nearest(Search(nn.Identity(), batch), "l2", x)
    nearest.offer(x + 2, torch.tensor([True, True, False]))
    nearest.offer(
        x + torch.tensor([1.0, 3.0, 1.0]).view(3, 1, 1, 1), torch.tensor([True, True, False])
    )
    assert nearest.search.x_adv.amax((1, 2, 3)).tolist() == [1, 2, 0]
    assert nearest.found.tolist() == [True, True, False]
    assert nearest.distance.tolist() == pytest.approx([2**0.5, 8**0.5, torch.inf])


def test_shrinking_by_half_halves_the_length_or_the_number_of_entries() -> None:
    delta = torch.tensor([[4.0, -3.0, 2.0, 0.0, 1.0]])
    half = torch.tensor([0.5])
    torch.testing.assert_close(shrink(delta, half, "linf"), delta / 2)
    assert shrink(delta, half, "l0").tolist() == [[4, -3, 0, 0, 0]]


def test_an_ascent_has_length_1_and_falls_back_where_the_gradient_is_0() -> None:
    gradient, fallback = (
        torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]),
        torch.tensor([[1.0, 0.0], [0.0, -2.0]]),
    )
    torch.testing.assert_close(ascent(gradient, fallback), torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_a_cosine_schedule_starts_and_ends_flat() -> None:
    assert [cosine(1, 0, step, 4) for step in range(5)] == pytest.approx(
        [1, 0.853553, 0.5, 0.146447, 0], abs=1e-6
    )
