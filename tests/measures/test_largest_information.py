"""Images whose label a small convolutional reader sees and a small MLP does not."""

from __future__ import annotations

import pytest
import torch
from channels import Turned, channel, examples
from pydantic import ValidationError
from shown import shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.measures.largest_information import LargestInformation

QUICK = {"hidden": 32, "epochs": 4, "batch_size": 64, "lr": 0.01}


def textures(seed: int, n: int = 800) -> Examples:
    """Stripes across or along, with any phase and sign: no single pixel tells the label."""
    generator = torch.Generator().manual_seed(seed)
    y, phase = torch.arange(n) % 2, torch.randint(4, (n,), generator=generator)
    wave = ((torch.arange(16)[None] + phase[:, None]) // 2 % 2).float()
    across = wave[:, None, :].expand(n, 16, 16)
    x = torch.where(y[:, None, None] == 0, across, across.mT)
    noise = 0.3 * torch.rand(n, 16, 16, generator=generator)
    return examples(TensorSplit((0.7 * x + noise)[:, None], y))


class Two(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :2]


def rows(train: Examples, judged: Examples, model: nn.Module, **fields: object) -> dict[str, float]:
    measure = LargestInformation.model_validate({**QUICK, **fields})
    return {
        str(row.where["quantity"]): row.value for row in shown(measure.score(model, train, judged))
    }


def test_the_bound_is_that_of_the_reader_which_reads_best() -> None:
    found = rows(textures(1), textures(2), Two(), features="pixels", epochs=2, lr=0.003)
    assert found["bits_conv"] > found["bits_mlp"] + 0.05
    assert found["bits"] == found["bits_conv"]


def test_a_single_reader_is_nuisance_information() -> None:
    train, judged = channel(0.0, 0.1, seed=1), channel(0.0, 0.1, seed=2)
    found = rows(train, judged, Turned(), readers=["mlp"])
    assert found["bits"] == found["bits_mlp"] == pytest.approx(0.531, abs=0.05)


@pytest.mark.parametrize(("features", "expected"), [("nuisance", 0.531), ("semantic", 1.0)])
def test_the_image_of_a_part_of_the_code_tells_what_the_part_tells(
    features: str, expected: float
) -> None:
    train, judged = (channel(0.0, 0.1, seed=seed) for seed in (1, 2))
    found = rows(train, judged, Turned(), features=features, readers=["conv"])
    assert found["bits_conv"] == pytest.approx(expected, abs=0.06)


def test_readers_are_chosen_on_held_out_images() -> None:
    with pytest.raises(ValidationError, match="expected validation above 0"):
        LargestInformation(validation=0)
    with pytest.raises(ValidationError, match="expected different readers"):
        LargestInformation(readers=("mlp", "mlp"))
