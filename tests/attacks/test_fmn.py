"""FMN: how its ball follows the boundary, and invalid fields."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from minimal_norm_toys import attacked, batch_of, label, net
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.fmn import FMN, boundary, next_count, next_radius
from invspec.data import Batch
from invspec.ops.norms import DUAL, size
from invspec.ops.types import Norm
from invspec.search.minimal_norm import Nearest
from invspec.search.search import Search


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_on_a_linear_margin_the_boundary_is_the_gap_over_the_dual_norm_away(norm: Norm) -> None:
    weight = torch.tensor([[3.0, -4.0, 0.0], [1.0, 1.0, 1.0]])
    gap, start = torch.tensor([-2.0, 1.5]), torch.zeros(2, 3)
    expected = gap.abs() / size(weight, DUAL[norm])
    torch.testing.assert_close(boundary(start, gap, weight, norm), expected)
    # where delta is on the boundary already, its own length
    delta = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    on_it = boundary(delta, torch.zeros(2), weight, norm)
    torch.testing.assert_close(on_it, size(delta, norm))


def test_a_vanished_gradient_gives_a_far_boundary_and_no_nan() -> None:
    far = boundary(torch.zeros(1, 3), torch.ones(1), torch.zeros(1, 3), "l2")
    assert far.item() > 1e30
    assert not boundary(torch.zeros(1, 3), torch.zeros(1), torch.zeros(1, 3), "l2").isnan().any()


def nearest_at(*distances: float) -> Nearest:
    """A search that has found images at these distances; inf: none."""
    n = len(distances)
    batch = Batch(torch.zeros(n, 1, 1, 1), torch.zeros(n, dtype=torch.int64), torch.arange(n))
    nearest = Nearest(Search(nn.Identity(), batch), "l2", batch.x)
    images = torch.tensor(distances).view(n, 1, 1, 1)
    nearest.offer(images.nan_to_num(posinf=0), images.flatten().isfinite())
    return nearest


def test_the_ball_shrinks_below_the_nearest_image_and_grows_when_nothing_is_hit() -> None:
    nearest = nearest_at(1.0, 0.5, 1.0, torch.inf)
    eps, reach = torch.tensor([1.0, 1.0, 1.0, 1.0]), torch.full((4,), 7.0)
    adversarial = torch.tensor([True, True, False, False])
    radius = next_radius(eps, 0.1, adversarial, nearest, reach)
    # by gamma; to the nearest image; by gamma; to the linearised boundary, as none was found
    assert radius.tolist() == pytest.approx([0.9, 0.5, 1.1, 7.0])


def test_before_the_first_hit_the_ball_grows_by_gamma_even_if_the_boundary_seems_nearer() -> None:
    radius = next_radius(
        torch.ones(1), 0.1, torch.tensor([False]), nearest_at(torch.inf), torch.full((1,), 0.2)
    )
    assert radius.item() == pytest.approx(1.1)


def test_a_count_of_entries_changes_by_at_least_one_and_stays_a_whole_number() -> None:
    nearest = nearest_at(torch.inf, torch.inf, 3.0, torch.inf, torch.inf)
    eps = torch.tensor([10.0, 100.0, 10.0, 10.0, 0.0])
    adversarial = torch.tensor([True, True, True, False, True])
    counts = next_count(eps, 0.05, adversarial, nearest)
    # 9.5 down to 9; 95; the nearest has 3; 10.5 would round to 10, so 11; never below 0
    assert counts.tolist() == [9.0, 95.0, 3.0, 11.0, 0.0]


class OnePixel(nn.Module):
    """Class 1 where the brightest of many pixels exceeds 0.9."""

    def forward(self, x: Tensor) -> Tensor:
        brightest = x.flatten(1).amax(1)
        return torch.stack([torch.full_like(brightest, 0.9), brightest], dim=1)


def test_l0_finds_the_one_entry_that_suffices() -> None:
    x = 0.2 + 0.4 * torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.zeros(4, dtype=torch.int64), torch.arange(4))
    result = attacked(FMN(norm="l0", steps=30), OnePixel(), batch)
    assert (label(OnePixel(), result.x_adv) == 1).all()
    assert size(result.x_adv - x, "l0").tolist() == [1.0] * 4


def test_every_step_costs_one_forward_and_one_backward_pass() -> None:
    model, batch = net(), batch_of()
    right = label(model, batch.x) == batch.y
    result = attacked(FMN(steps=7, refine=3), model, batch)
    # the first prediction, the image after the last step, and the bisections
    assert set(result.forwards[right].tolist()) == {1 + 7 + 1 + 3}
    assert set(result.backwards[right].tolist()) == {7}


@pytest.mark.parametrize(
    "fields", [{"norm": "l3"}, {"gamma": 1.0}, {"step_size": 0}, {"rivals": -1}], ids=str
)
def test_fmn_refuses_invalid_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FMN.model_validate(fields)
