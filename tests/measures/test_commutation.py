"""Whether an attack commutes with a transform."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from columns import filled
from pydantic import ValidationError
from shown import shown
from torch import Tensor, nn

from invspec.attacks.fixed_transforms import FixedRotation
from invspec.attacks.pgd import PGD
from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.commutation import Commutation

TURN = FixedRotation(degrees=90)


class Bright(nn.Module):
    """Class 1 where the weighted sum of the pixels is above a half of its maximum."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        excess = (x * self.weights).flatten(1).sum(1) - self.weights.sum() / 2
        return torch.stack([-excess, excess], dim=1)


INVARIANT, CORNER = torch.ones(4, 4), torch.zeros(4, 4)
CORNER[0, 0] = 1


def examples(x: Tensor, x_adv: Tensor) -> Examples:
    n = len(x)
    judged = filled({"index": torch.arange(n)})
    return Examples(TensorSplit(x, torch.zeros(n, dtype=torch.int64)), judged, {"x_adv": x_adv})


def images(seed: int, n: int = 20) -> Tensor:
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def turned(x: Tensor) -> Tensor:
    return x.rot90(1, (2, 3))


def scored(net: nn.Module, x: Tensor, x_adv: Tensor, other: Tensor) -> dict[str, float]:
    result = Commutation(transform=TURN).score(net, examples(x, x_adv), examples(turned(x), other))
    return {str(row.where["quantity"]): row.value for row in shown(result)}


def test_an_attack_that_commutes_on_an_invariant_net_scores_1_throughout() -> None:
    x, x_adv = images(0), images(1)
    found = scored(Bright(INVARIANT), x, x_adv, turned(x_adv))
    assert found == {"entries": 1, "images": 1, "carried": 1}


def test_entries_and_images_count_what_differs() -> None:
    x, x_adv = images(0), images(1)
    other = turned(x_adv).clone()
    other[:5, 0, 0, 0] += 0.5
    found = scored(Bright(INVARIANT), x, x_adv, other)
    assert found["entries"] == pytest.approx(1 - 5 / (20 * 16))
    assert found["images"] == 0.75


def test_a_perturbation_is_not_carried_over_where_the_net_looks_at_one_place() -> None:
    x = torch.zeros(4, 1, 4, 4)
    x_adv = x.clone()
    x_adv[:3, 0, 0, 0] = 1
    # turned, the bright corner is another one: three of four are fooled at x, and none at T x
    found = scored(Bright(CORNER), x, x_adv, turned(x_adv))
    assert found == {"entries": 1, "images": 1, "carried": 0.25}


def test_other_images_than_those_of_the_transform_are_refused() -> None:
    x = images(0)
    with pytest.raises(InvspecError, match="starts from other images"):
        Commutation(transform=TURN).score(Bright(INVARIANT), examples(x, x), examples(x, x))


@pytest.mark.parametrize("transform", [PGD(), {"use": "pgd"}])
def test_a_transform_that_looks_at_the_model_is_refused(transform: Any) -> None:
    with pytest.raises(ValidationError, match="transform must ignore the model, and PGD does not"):
        Commutation(transform=transform)
