"""What a softmax temperature does whatever the net: it changes confidences in one direction, and no
prediction.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.models.temperature import TemperedNet

LOGITS = 4 * torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Outputs(nn.Module):
    """Logits that are known, and one temperature for all, as the outputs of a net."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.full_like(x[:, :1], self.temperature)], dim=1)


def probs(temperature: float) -> Tensor:
    return TemperedNet(Outputs(temperature), nn.Identity(), 0.0)(LOGITS).softmax(1)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 7.0, 1e4])
def test_no_positive_temperature_changes_a_prediction(temperature: float) -> None:
    assert torch.equal(probs(temperature).argmax(1), LOGITS.argmax(1))


def test_a_temperature_of_1_is_the_plain_softmax_to_the_bit() -> None:
    assert torch.equal(probs(1.0), LOGITS.softmax(1))


def test_an_infinite_temperature_is_uniform() -> None:
    torch.testing.assert_close(probs(1e15), torch.full_like(LOGITS, 1 / 6), rtol=0, atol=1e-12)


def test_confidence_falls_as_the_temperature_rises() -> None:
    confidences = torch.stack([probs(t).amax(1) for t in (0.5, 0.7, 1.0, 1.5, 3.0, 10.0)])
    assert (confidences.diff(dim=0) < 0).all()


def test_a_negative_raw_temperature_turns_the_ranking_around() -> None:
    assert torch.equal(probs(-1.0).argmax(1), LOGITS.argmin(1))
