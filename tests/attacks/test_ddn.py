"""DDN: invalid fields, and the sphere on a linear net."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from minimal_norm_toys import attacked, label
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.ddn import DDN
from invspec.data import Batch
from invspec.ops.norms import size


@pytest.mark.parametrize(
    "fields",
    [{"norm": "linf"}, {"gamma": 1.0}, {"levels": 1}, {"init_eps": 0.0}, {"refine": -1}],
    ids=str,
)
def test_ddn_refuses_invalid_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DDN.model_validate(fields)


class Halfspace(nn.Module):
    """Class 1 where the sum of the four pixels exceeds 2."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.full((len(x),), 2.0), x.flatten(1).sum(1)], dim=1)


def greys(*levels: float) -> Batch:
    n = len(levels)
    x = torch.tensor(levels).view(n, 1, 1, 1).expand(n, 1, 2, 2)
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n))


def test_on_a_halfspace_ddn_ends_at_the_plane() -> None:
    """From a grey level g the plane is (2 - 4 g) / 2 away along the diagonal."""
    batch = greys(0.1, 0.3, 0.45)
    result = attacked(DDN(steps=50), Halfspace(), batch)
    assert (label(Halfspace(), result.x_adv) == 1).all()
    distance = size(result.x_adv - batch.x, "l2").tolist()
    assert distance == pytest.approx([0.8, 0.4, 0.1], rel=0.01)


def test_the_first_image_lies_on_the_sphere_of_the_grown_radius() -> None:
    """The first step judges x itself, which is not adversarial."""
    batch = greys(0.2)
    result = attacked(DDN(steps=1, init_eps=1.2, gamma=0.1, refine=0), Halfspace(), batch)
    assert size(result.x_adv - batch.x, "l2").item() == pytest.approx(1.2 * 1.1)


def test_a_sphere_never_grows_beyond_the_farthest_valid_image() -> None:
    batch = greys(0.2)
    result = attacked(DDN(steps=1, init_eps=50, refine=0), Halfspace(), batch)
    assert torch.equal(result.x_adv, torch.ones(1, 1, 2, 2))


def test_levels_round_every_image() -> None:
    result = attacked(DDN(steps=30, levels=5), Halfspace(), greys(0.25, 0.0))
    assert (label(Halfspace(), result.x_adv) == 1).all()
    assert set(result.x_adv.flatten().tolist()) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_every_step_costs_one_forward_and_one_backward_pass() -> None:
    result = attacked(DDN(steps=7, refine=3), Halfspace(), greys(0.2))
    assert (result.forwards.item(), result.backwards.item()) == (1 + 7 + 1 + 3, 7)
