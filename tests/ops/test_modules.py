"""The device of a model."""

from __future__ import annotations

import torch
from torch import nn

from invspec.ops.modules import device_of


def test_a_model_is_on_the_device_of_its_weights() -> None:
    assert device_of(nn.Linear(1, 1)).type == "cpu"
    assert device_of(nn.Sequential(nn.Flatten(), nn.Linear(1, 1, device="meta"))).type == "meta"


def test_a_model_without_weights_is_on_the_cpu_whatever_the_default() -> None:
    with torch.device("meta"):
        assert device_of(nn.Flatten()).type == "cpu"
