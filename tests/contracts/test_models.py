"""What every model promises."""

import pytest
import torch
from model_toys import ELSEWHERE, GENERATORS, LARGE, built, images, made
from torch import Tensor, nn

from invspec.kinds import Standardised
from invspec.registry import cards

pytestmark = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LARGE else ())
        for name in cards.names("model")
        if name not in (*ELSEWHERE, *GENERATORS)
    ],
)


def logits_of(net: nn.Module, x: Tensor) -> Tensor:
    """The logits of a net, from a fixed state of the generator that a random net draws from."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return net(x)


def test_logits_are_float32_one_a_class(name: str) -> None:
    logits = built(name).eval()(images(name))
    assert logits.shape == (8, made(name)[2])
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_the_seed_decides_the_weights(name: str) -> None:
    first, again, other = (built(name, seed).state_dict() for seed in (3, 3, 4))
    if not first:
        pytest.skip("has no weights")
    assert all(first[key].equal(again[key]) for key in first)
    assert any(not first[key].equal(other[key]) for key in first)


def test_a_saved_net_comes_back_as_it_was(name: str) -> None:
    model, *_ = made(name)
    net = built(name)
    state = {key: value.clone() for key, value in net.train().state_dict().items()}
    fresh = built(name, seed=5)
    fresh.load_state_dict(state)
    x = images(name)
    assert logits_of(model.deploy(fresh), x).equal(logits_of(model.deploy(net), x))


def test_deploying_changes_no_logit(name: str) -> None:
    net, x = built(name), images(name)
    before = logits_of(net.eval(), x).detach()
    after = logits_of(made(name)[0].deploy(net), x)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_a_deployed_net_has_a_gradient_for_its_input_alone(name: str) -> None:
    net = made(name)[0].deploy(built(name))
    x = images(name).requires_grad_()
    net(x).logsumexp(1).sum().backward()
    assert not any(module.training for module in net.modules())
    assert not any(weight.requires_grad for weight in net.parameters())
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert (x.grad.flatten(1).abs().amax(1) > 0).all()


def test_no_example_sees_another(name: str) -> None:
    net, x = made(name)[0].deploy(built(name)), images(name)
    others = x.clone()
    others[1:] = 1 - x[1:].flip(0)
    # one kernel on one batch size: equal, not merely close
    assert logits_of(net, x)[0].equal(logits_of(net, others)[0])


def test_a_sketch_tells_what_the_deployed_net_is_like(name: str) -> None:
    model, shape, classes = made(name)
    sketch, net = model.sketch(shape, classes), model.deploy(built(name))
    assert sketch(torch.empty(2, *shape, device="meta")).shape == (2, classes)
    assert isinstance(sketch, Standardised) == isinstance(net, Standardised)


def test_a_standardised_net_has_a_deviation_for_every_channel(name: str) -> None:
    net = made(name)[0].deploy(built(name))
    if not isinstance(net, Standardised):
        pytest.skip("reads pixels as they are")
    assert net.pixel_std.shape == (made(name)[1][0],)
    assert (net.pixel_std > 0).all()


def test_the_last_layer_has_as_many_units_as_there_are_classes(name: str) -> None:
    model, shape, classes = made(name)
    if classes == 2:
        pytest.skip("tells no more than two classes apart")
    assert model.sketch(shape, 3)(torch.empty(2, *shape, device="meta")).shape == (2, 3)


def test_images_may_come_channels_last(name: str) -> None:
    net, x = made(name)[0].deploy(built(name)), images(name)
    found = logits_of(net, x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, logits_of(net, x), rtol=1e-4, atol=1e-4)
