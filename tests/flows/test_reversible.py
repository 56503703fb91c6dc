"""A reversible run has the gradients of a stored one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.flows.couplings import AdditiveCoupling, coupling_net
from invspec.flows.layers import ActNorm, ChannelReversal, Flatten
from invspec.flows.reversible import Run
from invspec.models.firevnet import FiRevNet
from invspec.models.fully_connected_firevnet import FullyConnectedFiRevNet
from invspec.models.irevnet import IRevNet

KINDS: dict[str, dict[str, Any]] = {
    "additive": {},
    "affine": {"coupling": "affine"},
    "batch norm": {"norm": "batch_norm", "permutation": "reversal"},
    "no factor out": {
        "factor_out": False,
        "readout": "dct",
        "norm": "none",
        "coupling": "affine_last",
    },
}


def nets(dtype: torch.dtype = torch.float64, **fields: Any) -> tuple[Any, Any]:
    """The same slightly trained net with both memories, in train mode."""
    torch.manual_seed(0)
    model = FiRevNet(stages=2, blocks=2, width=6, **fields)
    stored = model.build((1, 16, 16), 4).train()
    stored(images(torch.float32))
    with torch.no_grad():
        for weight in stored.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    reversible = model.model_copy(update={"memory": "reversible"}).build((1, 16, 16), 4)
    reversible.load_state_dict(stored.state_dict())
    return stored.to(dtype), reversible.to(dtype)


def images(dtype: torch.dtype) -> Tensor:
    return torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1)).to(dtype)


def loss(net: Any, x: Tensor) -> Tensor:
    """A loss that depends on the whole code and the log-determinant."""
    semantic, nuisance, log_det = net.encode_with_log_det(x)
    return semantic.logsumexp(1).sum() + nuisance.sin().sum() + 0.1 * log_det.square().sum()


def gradients(net: Any, x: Tensor) -> list[Tensor]:
    """The gradients for the images and for every weight."""
    x = x.clone().requires_grad_()
    return list(torch.autograd.grad(loss(net, x), (x, *net.parameters())))


def differences(one: list[Tensor], other: list[Tensor]) -> list[float]:
    """The difference for each weight, relative to the size of its gradient."""
    return [
        ((a - b).norm() / b.norm().clamp_min(1e-6)).item() for a, b in zip(one, other, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_gradients_equal_those_of_a_stored_run(
    kind: str, dtype: torch.dtype, tolerance: float
) -> None:
    stored, reversible = nets(dtype, **KINDS[kind])
    x = images(dtype)
    assert max(differences(gradients(reversible, x), gradients(stored, x))) < tolerance


def test_backward_fills_grad() -> None:
    stored, reversible = nets()
    for net in (stored, reversible):
        loss(net, images(torch.float64)).backward()
    ours, theirs = ([weight.grad for weight in net.parameters()] for net in (reversible, stored))
    assert max(differences(ours, theirs)) < 1e-8


def test_the_gradient_for_the_images_agrees_with_finite_differences() -> None:
    _, net = nets(coupling="affine")
    net.eval().requires_grad_(False)
    x = images(torch.float64)[:1].requires_grad_()
    (found,) = torch.autograd.grad(loss(net, x), x)
    direction, step = torch.randn_like(x), 1e-6
    slope = (loss(net, x + step * direction) - loss(net, x - step * direction)) / (2 * step)
    torch.testing.assert_close((found * direction).sum(), slope, rtol=1e-5, atol=1e-5)


def test_a_deployed_net_has_a_gradient_for_its_input_only() -> None:
    stored, reversible = (net.eval().requires_grad_(False) for net in nets(torch.float32))
    x = images(torch.float32).requires_grad_()
    ours, theirs = (
        torch.autograd.grad(net(x).logsumexp(1).sum(), x)[0] for net in (reversible, stored)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [2, 8])
def test_only_the_input_and_the_output_are_stored(layers: int) -> None:
    kept: list[int] = []

    def noted(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    x = torch.rand(2, 4, 8, 8, requires_grad=True)
    for memory in ("stored", "reversible"):
        run = Run([AdditiveCoupling(coupling_net(2, 32, 2, "none")) for _ in range(layers)], memory)
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor):
            run(x)
        assert (
            sum(kept) == 2 * x.numel() if memory == "reversible" else sum(kept) > layers * x.numel()
        )


def stretching(dtype: torch.dtype, gain: float = 30.0) -> Run:
    """Four layers that add gain times one half to the other: 30^4 each way costs twelve digits."""
    layers = [AdditiveCoupling(nn.Linear(2, 2)) for _ in range(4)]
    for layer in layers:
        layer.net.weight.data = gain * torch.eye(2)
    return Run([part for layer in layers for part in (layer, ChannelReversal())], "reversible").to(
        dtype
    )


def test_inaccurate_inversion_is_refused() -> None:
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    value = stretching(torch.float32)(x)[0].square().sum()
    with pytest.raises(InvspecError, match=r"an input that is wrong by .* of its size") as problem:
        value.backward()
    assert "memory: stored" in problem.value.hint
    stretching(torch.float64)(x.double())[0].square().sum().backward()
    stretching(torch.float32, gain=1.0)(0 * x)[0].square().sum().backward()


def test_a_diverged_net_is_not_refused_for_inaccurate_inversion() -> None:
    run = stretching(torch.float32, gain=1e30)
    run(torch.ones(3, 4))[0].sum().backward()
    assert not all(
        weight.grad.isfinite().all() for weight in run.parameters() if weight.grad is not None
    )


def test_running_statistics_are_updated_once() -> None:
    stored, reversible = nets(norm="batch_norm")
    for net in (stored, reversible):
        loss(net, images(torch.float64)).backward()
    for (name, ours), theirs in zip(reversible.named_buffers(), stored.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_the_first_forward_pass_initialises_actnorm() -> None:
    torch.manual_seed(0)
    stored = FiRevNet(stages=1, blocks=2, width=4, site=(0, 0)).build((1, 8, 8), 4).double()
    reversible = copy.deepcopy(stored)
    for stage in reversible.stages:
        stage.memory = "reversible"
    x = 3 * images(torch.float64)[..., :8, :8]
    ours, theirs = gradients(reversible, x), gradients(stored, x)
    assert all(norm.initialised for norm in reversible.modules() if isinstance(norm, ActNorm))
    assert max(differences(ours, theirs)) < 1e-8
    torch.testing.assert_close(reversible.state_dict(), stored.state_dict())


def test_it_trains_under_autocast_with_the_backward_pass_inside_or_outside() -> None:
    stored, reversible = nets(torch.float32)
    x, found = images(torch.float32), []
    for net in (stored, reversible, reversible):
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(net, x)
            inside = torch.autograd.grad(value, list(net.parameters()), retain_graph=True)
        outside = torch.autograd.grad(value, list(net.parameters()))
        assert all(a.equal(b) for a, b in zip(inside, outside, strict=True))
        found.append(list(inside))
    # A bfloat16 number has 8 bits, and inverting may change the last one.
    ours, theirs = (torch.cat([each.flatten() for each in grads]) for grads in (found[1], found[0]))
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.999
    assert all(a.equal(b) for a, b in zip(found[1], found[2], strict=True))


def test_autocast_caches_no_weights_without_a_graph() -> None:
    _, reversible = nets(torch.float32)
    weight = reversible.stages[0].layers[-1].net[-1].weight
    with torch.autocast("cpu", torch.bfloat16):
        loss(reversible, images(torch.float32))
        coupling = reversible.stages[0].layers[-1]
        plain = coupling(torch.rand(2, 4, 8, 8))[0].sum()
    assert torch.autograd.grad(plain, weight)[0].abs().sum() > 0


def test_without_gradients_and_in_bfloat16_the_run_is_stored() -> None:
    _, net = nets(torch.float32)
    with torch.no_grad():
        assert net(images(torch.float32)).grad_fn is None
    low = net.bfloat16()
    run = low.stages[0](images(torch.bfloat16))[0]
    assert "Reversible" not in type(run.grad_fn).__name__


def test_vectors_have_the_same_gradients_as_a_stored_run() -> None:
    torch.manual_seed(0)
    model = FullyConnectedFiRevNet(hidden=8)
    stored = model.build((1, 1, 7), 2).double()
    reversible = model.model_copy(update={"memory": "reversible"}).build((1, 1, 7), 2).double()
    reversible.load_state_dict(stored.state_dict())
    x = torch.randn(5, 1, 1, 7, dtype=torch.float64)
    assert max(differences(gradients(reversible, x), gradients(stored, x))) < 1e-8


def test_frozen_weights_get_no_gradient() -> None:
    run = Run(
        [Flatten((1, 1, 4)), *(AdditiveCoupling(nn.Linear(2, 2)) for _ in range(2))], "reversible"
    )
    run.layers[1].requires_grad_(False)
    run(torch.rand(3, 1, 1, 4))[0].sum().backward()
    assert [weight.grad is None for weight in run.parameters()] == [True, True, False, False]


def test_a_weight_that_two_layers_share_gets_both_gradients() -> None:
    shared = nn.Linear(2, 2).double()
    runs = {
        memory: Run([AdditiveCoupling(shared) for _ in range(2)], memory)
        for memory in ("stored", "reversible")
    }
    x = torch.rand(3, 4, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad(runs[m](x)[0].sin().sum(), shared.weight)[0]
        for m in ("reversible", "stored")
    )
    torch.testing.assert_close(ours, theirs)


def test_an_i_revnet_has_the_same_gradients_with_both_memories() -> None:
    torch.manual_seed(0)
    model = IRevNet(blocks=(2, 1), input_squeezes=1)
    stored = model.build((1, 8, 8), 3).double()
    reversible = model.model_copy(update={"memory": "reversible"}).build((1, 8, 8), 3).double()
    reversible.load_state_dict(stored.state_dict())
    x = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    for net in (stored, reversible):
        net(x).logsumexp(1).sum().backward()
    ours, theirs = ([weight.grad for weight in net.parameters()] for net in (reversible, stored))
    assert max(differences(ours, theirs)) < 1e-8
