"""A model as inner attacks see it, and as it is afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.ops.draws import Stream
from invspec.training.modes import attackable, seeded


class Caching(nn.Linear):
    """Caches a function of its weights in eval mode, as equivariant layers do."""

    cached: Tensor

    def train(self, mode: bool = True) -> Caching:
        if not mode:
            self.cached = 2 * self.weight
        return super().train(mode)

    def forward(self, input: Tensor) -> Tensor:
        weight = 2 * self.weight if self.training else self.cached
        return nn.functional.linear(input, weight)


def test_an_attackable_model_can_be_differentiated_repeatedly() -> None:
    model, x = Caching(3, 2), torch.rand(1, 3, requires_grad=True)
    with attackable(model):
        assert not model.training
        assert not any(weight.requires_grad for weight in model.parameters())
        for _ in range(2):
            assert torch.autograd.grad(model(x).sum(), x)[0].shape == x.shape
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())


def test_an_attackable_model_is_restored_after_a_failure() -> None:
    model = nn.Linear(3, 2).eval()
    model.bias.requires_grad_(False)
    with pytest.raises(RuntimeError), attackable(model):
        raise RuntimeError
    assert not model.training
    assert (model.weight.requires_grad, model.bias.requires_grad) == (True, False)


def test_the_global_generator_is_seeded_from_the_draws_and_restored() -> None:
    before, numbers = torch.get_rng_state(), list[float]()
    for _ in range(2):
        with seeded(Stream("key"), torch.device("cpu")):
            numbers.append(torch.rand(()).item())
    assert numbers[0] == numbers[1]
    assert torch.equal(torch.get_rng_state(), before)
