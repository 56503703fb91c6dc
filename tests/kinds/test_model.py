"""Sketches of a model, and the net that attacks get."""

from __future__ import annotations

import torch
from torch import nn

from invspec.kinds import Model, Shape


class Affine(Model):
    def build(self, shape: Shape, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(shape[1] * shape[2], classes))


def test_a_sketch_has_shapes_but_no_weights_and_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    sketch = Affine().sketch((1, 2, 3), 4)
    assert [tuple(weight.shape) for weight in sketch.parameters()] == [(4, 6), (4,)]
    assert {weight.device.type for weight in sketch.parameters()} == {"meta"}
    assert torch.equal(torch.get_rng_state(), before)


def test_a_deployed_net_is_in_eval_mode_and_its_weights_need_no_gradients() -> None:
    net = Affine().build((1, 2, 3), 4)
    deployed = Affine().deploy(net.train())
    assert not any(module.training for module in deployed.modules())
    assert not any(weight.requires_grad for weight in deployed.parameters())
    x = torch.rand(2, 1, 2, 3, requires_grad=True)
    assert torch.equal(deployed(x), deployed(x))
    deployed(x).sum().backward()
    assert x.grad is not None
