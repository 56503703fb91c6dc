"""Walks of a bijection whose code is known, so that arrivals have a closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.sphere_walk import SphereWalk
from invspec.data import Batch
from invspec.ops.draws import PerExample


class Identical(nn.Module):
    """The code is the point: its first coordinate is the logit, the others are the nuisance."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1)[:, :1], x.flatten(1)[:, 1:]

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raise AssertionError("a walk needs no log-determinant")

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        return torch.cat([semantic, nuisance], dim=1)[:, None, None]


def walked(x: list[list[float]], x_target: list[list[float]], **fields: Any) -> Tensor:
    points, targets = (torch.tensor(rows)[:, None, None] for rows in (x, x_target))
    index, y = torch.arange(len(x)), torch.zeros(len(x), dtype=torch.int64)
    batch = Batch(points, y, index, (-math.inf, math.inf), x_target=targets, y_target=1 - y)
    attack = SphereWalk(**{"inner": 1, "outer": 5, **fields})
    result = attack.perturb(Identical(), batch, PerExample("task", index))
    assert result.exact is not None
    torch.testing.assert_close(result.exact.float(), result.x_adv, rtol=0, atol=0)
    return result.exact.flatten(1)


def test_a_walk_at_constant_logits_ends_where_it_first_meets_the_other_sphere() -> None:
    found = walked([[0.6, 0.8]], [[3.0, 8.8]])
    assert found.tolist() == [pytest.approx([0.6, math.sqrt(25 - 0.36)], abs=1e-7)]


def test_a_walk_at_a_constant_nuisance_changes_the_logits_alone() -> None:
    found = walked([[0.6, 0.8]], [[8.6, 0.0]], fixed="nuisance")
    assert found.tolist() == [pytest.approx([math.sqrt(25 - 0.64), 0.8], abs=1e-7)]


def test_a_walk_from_the_outer_sphere_goes_inwards() -> None:
    found = walked([[0.0, 5.0]], [[1.0, 0.0]])
    assert found.tolist() == [pytest.approx([0.0, 1.0], abs=1e-9)]


def test_a_walk_that_never_meets_the_sphere_ends_at_the_code_of_the_target() -> None:
    assert walked([[0.6, 0.8]], [[9.0, 2.0]]).tolist() == [pytest.approx([0.6, 2.0])]


def test_the_first_of_two_crossings_counts() -> None:
    """From (0, 5) to (0, -5) the length falls to 1 at t = 0.4 and grows beyond it after 0.6."""
    found = walked([[0.0, 5.0]], [[1.0, -5.0]])
    assert found.tolist() == [pytest.approx([0.0, 1.0], abs=1e-9)]


def test_the_inner_sphere_is_inside_the_outer_one() -> None:
    with pytest.raises(ValidationError, match="expected inner < outer, found 2 and 2"):
        SphereWalk(inner=2, outer=2)
