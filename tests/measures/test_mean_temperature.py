from __future__ import annotations

import pytest
import torch
from columns import filled
from shown import index, outcomes, shown
from torch import Tensor, nn

from invspec.data import Examples, TensorSplit
from invspec.measures.mean_temperature import MeanTemperature


class Tempered(nn.Module):
    """Its temperature is the sum of the pixels."""

    def temperature(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1)


def examples() -> Examples:
    x, index = torch.arange(12.0).view(3, 1, 2, 2) / 12, torch.arange(3) + 5
    return Examples(
        TensorSplit(x, index, index=index), filled({"index": index}), {"x_adv": x + 0.25}
    )


@pytest.mark.parametrize(("clean", "more"), [(True, 0.0), (False, 1.0)])
def test_it_is_the_mean_over_images(clean: bool, more: float) -> None:
    found = MeanTemperature(clean=clean).score(Tempered(), examples())
    sums = torch.tensor([6.0, 22.0, 38.0]) / 12 + more
    torch.testing.assert_close(outcomes(found), sums)
    assert index(found).tolist() == [5, 6, 7]
    assert shown(found)[0].value == pytest.approx(sums.mean().item())


def test_a_model_without_a_temperature_has_1() -> None:
    (row,) = shown(MeanTemperature().score(nn.Flatten(), examples()))
    assert (row.value, row.low, row.high) == (1, 1, 1)
