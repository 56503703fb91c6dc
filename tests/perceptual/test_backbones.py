"""Fixed nets whose features LPIPS compares."""

from __future__ import annotations

import pytest
import torch

from invspec.perceptual.backbones import backbone


@pytest.mark.usefixtures("random_weights")
def test_a_backbone_is_loaded_once_and_has_no_gradients() -> None:
    first = backbone("alex", torch.device("cpu"))
    assert backbone("alex", torch.device("cpu")) is first
    assert not first.training
    assert not any(weight.requires_grad for weight in first.parameters())
    assert {weight.dtype for weight in first.parameters()} == {torch.float32}


@pytest.mark.usefixtures("random_weights")
def test_loading_a_backbone_draws_no_global_random_numbers() -> None:
    before = torch.get_rng_state()
    backbone("alex", torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())
