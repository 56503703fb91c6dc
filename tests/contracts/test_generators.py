"""What every model that makes images promises."""

from __future__ import annotations

import pytest
import torch
from model_toys import GENERATORS, built, images, made

every_generator = pytest.mark.parametrize("name", GENERATORS)


@every_generator
def test_images_have_the_shape_of_the_target(name: str) -> None:
    output = built(name).eval()(images(name))
    assert output.shape == (8, *made(name)[1])
    assert output.dtype == torch.float32
    assert output.isfinite().all()


@every_generator
def test_the_seed_decides_the_weights(name: str) -> None:
    first, again, other = (built(name, seed).state_dict() for seed in (3, 3, 4))
    assert all(first[key].equal(again[key]) for key in first)
    assert any(not first[key].equal(other[key]) for key in first)


@every_generator
def test_a_saved_generator_comes_back_as_it_was(name: str) -> None:
    model, *_ = made(name)
    net, fresh, pairs = built(name), built(name, seed=5), images(name)
    fresh.load_state_dict(net.state_dict())
    assert model.deploy(fresh)(pairs).equal(model.deploy(net)(pairs))


@every_generator
def test_no_pair_sees_another(name: str) -> None:
    net, pairs = made(name)[0].deploy(built(name)), images(name)
    others = pairs.clone()
    others[1:] = 1 - pairs[1:].flip(0)
    assert net(pairs)[0].equal(net(others)[0])


@every_generator
def test_every_weight_gets_a_gradient_once_the_net_has_moved(name: str) -> None:
    net, pairs = built(name), images(name)
    with torch.no_grad():
        for weight in net.parameters():
            # a last layer that starts at zero hides all others
            weight.add_(0.01)
    net(pairs).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in net.parameters())


@every_generator
def test_the_sketch_has_the_shapes_of_the_net(name: str) -> None:
    model, shape, classes = made(name)
    pairs = torch.empty(2, 2 * shape[0], *shape[1:], device="meta")
    assert model.sketch(shape, classes)(pairs).shape == (2, *shape)
