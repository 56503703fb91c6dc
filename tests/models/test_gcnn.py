import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.models.gcnn import GCNN
from invspec.models.group_conv import CUTOFF, GroupConv, GroupMax, KernelBasis, _e2cnn_as_it_expects, kernel_basis

MNIST = (1, 28, 28)


def built(seed: int = 0, shape: tuple[int, int, int] = MNIST, **fields: object) -> nn.Module:
    torch.manual_seed(seed)
    return GCNN.model_validate(fields).build(shape, 10).eval()


def turned(x: Tensor, quarters: int) -> Tensor:
    return x.rot90(quarters, (-2, -1))


@torch.no_grad()
def change(net: nn.Module, x: Tensor, quarters: int) -> float:
    """Largest change of a logit under quarter-turns, in units of the logits' own spread."""
    return ((net(turned(x, quarters)) - net(x)).abs().max() / net(x).std()).item()


# --- the convolution ---------------------------------------------------------------------------------------------


def naive_p4(weight: Tensor) -> Tensor:
    """Cohen and Welling's filter bank: weight (O, I, R, k, k), R = 1 or 4, to an ordinary kernel (4O, R * I, k, k)."""
    bank = [weight.roll(quarters, dims=2).rot90(quarters, (-2, -1)) for quarters in range(4)]
    return torch.stack(bank, dim=1).flatten(2, 3).flatten(0, 1)


def fitted(basis: KernelBasis, weight: Tensor) -> tuple[GroupConv, float]:
    """The layer nearest to a naive one by least squares, and its largest error in any entry of a kernel."""
    fan_out, fan_in = weight.shape[:2]
    conv = GroupConv(basis, fan_in, fan_out)
    wanted = naive_p4(weight).reshape(fan_out, 4, fan_in, -1).transpose(1, 2).reshape(fan_out * fan_in, -1)
    layout = basis.kernels.flatten(2).flatten(1)  # (M, 4 * R * k * k), as `wanted` (O * I, 4 * R * k * k)
    solution = torch.linalg.pinv(layout.T) @ wanted.T.double()
    conv.weight.data = solution.T.reshape(conv.weight.shape).float()
    return conv, (conv.expanded()[0] - naive_p4(weight)).abs().max().item()


@pytest.mark.parametrize("source", ["trivial", "regular"])
def test_it_can_be_every_convolution_of_cohen_and_welling(source: str) -> None:
    torch.manual_seed(0)
    channels = 1 if source == "trivial" else 4
    weight = torch.randn(5, 3, channels, 3, 3)
    conv, residual = fitted(kernel_basis("c4", source), weight)
    assert residual < 1e-5  # float32
    conv.bias.data = torch.randn(5)
    x = torch.randn(2, 3 * channels, 12, 12)
    expected = F.conv2d(x, naive_p4(weight), conv.bias.repeat_interleave(4))
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-5)


def test_nothing_but_quarter_turn_equivariant_convolutions_is_in_its_reach() -> None:
    torch.manual_seed(0)
    conv, x = GroupConv(kernel_basis("c4", "regular"), 3, 5), torch.randn(2, 12, 9, 9)
    acted = turned(x, 1).unflatten(1, (3, 4)).roll(1, dims=2).flatten(1, 2)
    expected = turned(conv(x), 1).unflatten(1, (5, 4)).roll(1, dims=2).flatten(1, 2)
    torch.testing.assert_close(conv(acted), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("group", ["c4", "c8"])
def test_it_starts_as_r2conv_does_and_computes_the_same(group: str) -> None:
    order = GCNN(group=group).order
    with _e2cnn_as_it_expects():
        from e2cnn import gspaces
        from e2cnn import nn as steerable

        space = gspaces.Rot2dOnR2(order)
        one, other = (steerable.FieldType(space, [space.regular_repr] * fields) for fields in (2, 3))
        reference = steerable.R2Conv(one, other, 3, frequencies_cutoff=CUTOFF, recompute=True, bias=False).float()
    torch.manual_seed(0)
    steerable.init.generalized_he_init(reference.weights.data, reference.basisexpansion)
    torch.manual_seed(0)
    conv = GroupConv(kernel_basis(group, "regular"), 2, 3)
    torch.testing.assert_close(conv.weight.flatten(), reference.weights)
    x = torch.randn(2, 2 * order, 8, 8)
    torch.testing.assert_close(conv(x), reference(steerable.GeometricTensor(x, one)).tensor, atol=1e-5, rtol=1e-5)


def test_the_bases_span_all_kernels_and_nothing_is_shared_among_layers() -> None:
    ranks = {source: torch.linalg.matrix_rank(kernel_basis("c4", source).kernels.flatten(1)).item() for source in SPAN}
    assert ranks == SPAN
    state = built().state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)


SPAN = {"trivial": 9, "regular": 36}


def test_in_float64_quarter_turns_hold_to_its_own_rounding() -> None:
    x = torch.rand(4, *MNIST, dtype=torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        net = built(head="invariant")
    finally:
        torch.set_default_dtype(torch.float32)
    assert change(net, x, 1) < 1e-13


# --- the net -----------------------------------------------------------------------------------------------------


def test_it_has_the_layers_of_table_1() -> None:
    net = built()
    seen: list[tuple[int, ...]] = []
    for layer in net.modules():
        if isinstance(layer, GroupConv | nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    net(torch.zeros(1, *MNIST))
    assert seen == [(40, 26, 26), (40, 24, 24), (40, 12, 12), (80, 10, 10), (80, 8, 8), (80, 4, 4)]


@pytest.mark.parametrize(("head", "read"), [("flatten", 1280), ("group_flatten", 320), ("invariant", 20)])
def test_the_heads_differ_in_what_the_linear_layers_read(head: str, read: int) -> None:
    linear = (read + 1) * 50 + 51 * 10
    assert sum(weight.numel() for weight in built(head=head).parameters()) == 26_750 + linear


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_with_the_invariant_head_no_quarter_turn_changes_a_logit(quarters: int) -> None:
    x = torch.rand(8, *MNIST)
    net = built(head="invariant")
    assert change(net, x, quarters) < 1e-5
    assert change(GCNN(head="invariant").deploy(net), x, quarters) < 1e-5


@pytest.mark.parametrize("head", ["flatten", "group_flatten"])
def test_with_the_other_heads_quarter_turns_change_the_logits(head: str) -> None:
    assert change(built(head=head), torch.rand(8, *MNIST), 1) > 0.1


@torch.no_grad()
def test_d4_does_not_see_reflections_and_c4_does() -> None:
    x = torch.rand(4, *MNIST)
    c4, d4 = (built(head="invariant", group=group) for group in ("c4", "d4"))
    assert change(d4, x, 1) < 1e-5
    torch.testing.assert_close(d4(x.flip(-1)), d4(x), atol=1e-5, rtol=1e-5)
    assert (c4(x.flip(-1)) - c4(x)).abs().max() > 1e-3


def test_the_gradient_turns_with_the_image() -> None:
    net, x = built(head="invariant"), torch.rand(4, *MNIST)

    def gradient(x: Tensor) -> Tensor:
        x.requires_grad_()
        return torch.autograd.grad(net(x)[:, 3].sum(), x)[0]

    torch.testing.assert_close(gradient(turned(x, 1)), turned(gradient(x), 1), atol=1e-5, rtol=1e-4)


def test_a_tie_in_the_group_shares_the_gradient() -> None:
    x = torch.ones(1, 4, 1, 1, requires_grad=True)
    GroupMax(4)(x).sum().backward()
    assert x.grad.flatten().tolist() == [0.25] * 4


@pytest.mark.parametrize("group", ["c1", "c2", "c8", "d1", "d4"])
def test_every_group_builds_trains_and_deploys(group: str) -> None:
    model = GCNN(group=group, widths=(2, 3))
    net, x = model.build((3, 16, 20), 4), torch.rand(2, 3, 16, 20)
    net(x).sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())
    logits = net.eval()(x).detach()
    torch.testing.assert_close(model.deploy(net)(x), logits, atol=1e-5, rtol=1e-5)


def test_the_deployed_net_is_plain_and_equals_the_trained_one() -> None:
    net, x = built(), torch.rand(8, *MNIST)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.01 * torch.randn_like(weight))  # as training would
    logits = net(x).detach()
    plain = GCNN().deploy(net)
    assert {type(layer).__module__.split(".")[0] for layer in plain.modules()} <= {"torch", "invspec"}
    assert not any(isinstance(layer, GroupConv) for layer in plain.modules())
    torch.testing.assert_close(plain(x), logits, atol=1e-5, rtol=1e-5)


def test_the_state_is_the_same_in_both_modes() -> None:
    net = built()
    assert net.train().state_dict().keys() == net.eval().state_dict().keys()


def test_images_whose_maps_are_odd_are_refused_by_the_invariant_head_only() -> None:
    assert built(shape=(1, 18, 18))(torch.rand(1, 1, 18, 18)).shape == (1, 10)
    with pytest.raises(ValueError, match="an invariant head needs height and width that 4 divides, found 18x18"):
        GCNN(head="invariant").build((1, 18, 18), 10)
    with pytest.raises(ValueError, match="GCNN needs images of at least 16x16, found 8x8"):
        GCNN().sketch((1, 8, 8), 10)


@pytest.mark.parametrize("group", ["c0", "d0", "so2", "4", "c100", "C4"])
def test_other_groups_are_refused(group: str) -> None:
    with pytest.raises(ValidationError, match="group"):
        GCNN(group=group)


@pytest.mark.slow
def test_neither_the_module_nor_a_sketch_imports_e2cnn() -> None:
    script = "import sys, invspec.models.gcnn as m; m.GCNN().sketch((1, 28, 28), 10); sys.exit('e2cnn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
