import pytest
import torch
from cohen_welling import SPAN
from outputs import acted, parameters
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.equivariant.group_conv import GroupBatchNorm, GroupConv, GroupMax, exported
from invspec.equivariant.kernels import (
    CUTOFF,
    KernelBasis,
    Source,
    _e2cnn_compatibility,
    kernel_basis,
    order_of,
)
from invspec.models.gcnn import GCNN


def naive_p4(weight: Tensor) -> Tensor:
    """Cohen and Welling's filter bank: (O, I, R, k, k), R = 1 or 4, to (4 O, R * I, k, k)."""
    bank = [weight.roll(quarters, dims=2).rot90(quarters, (-2, -1)) for quarters in range(4)]
    return torch.stack(bank, dim=1).flatten(2, 3).flatten(0, 1)


def fitted(basis: KernelBasis, weight: Tensor) -> tuple[GroupConv, float]:
    """The layer closest to a naive one by least squares, and its largest error in a kernel."""
    fan_out, fan_in = weight.shape[:2]
    conv = GroupConv(basis, fan_in, fan_out)
    wanted = (
        naive_p4(weight)
        .reshape(fan_out, 4, fan_in, -1)
        .transpose(1, 2)
        .reshape(fan_out * fan_in, -1)
    )
    layout = basis.kernels.flatten(2).flatten(
        1
    )  # (M, 4 * R * k * k), as `wanted` (O * I, 4 * R * k * k)
    solution = torch.linalg.pinv(layout.T) @ wanted.T.double()
    conv.weight.data = solution.T.reshape(conv.weight.shape).float()
    return conv, (conv.expanded()[0] - naive_p4(weight)).abs().max().item()


@pytest.mark.parametrize(("source", "size"), SPAN)
def test_it_spans_every_convolution_of_cohen_and_welling(source: Source, size: int) -> None:
    torch.manual_seed(0)
    channels = 1 if source == "trivial" else 4
    weight = torch.randn(5, 3, channels, size, size)
    conv, residual = fitted(kernel_basis("c4", source, size), weight)
    assert residual < 1e-5  # float32
    conv.bias.data = torch.randn(5)
    x = torch.randn(2, 3 * channels, 12, 12)
    expected = F.conv2d(x, naive_p4(weight), conv.bias.repeat_interleave(4))
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("padding", [0, 1])
def test_every_c4_convolution_commutes_with_quarter_turns(size: int, padding: int) -> None:
    torch.manual_seed(0)
    conv, x = (
        GroupConv(kernel_basis("c4", "regular", size), 3, 5, padding),
        torch.randn(2, 12, 9, 9),
    )
    assert conv(x).shape[-1] == 9 + 2 * padding - size + 1
    torch.testing.assert_close(conv(acted(x, 1)), acted(conv(x), 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("group", ["c4", "c8"])
def test_it_starts_as_r2conv_and_computes_the_same(group: str) -> None:
    order = order_of(group)
    with _e2cnn_compatibility():
        from e2cnn import gspaces
        from e2cnn import nn as steerable

        space = gspaces.Rot2dOnR2(order)
        one, other = (
            steerable.FieldType(space, [space.regular_repr] * fields) for fields in (2, 3)
        )
        reference = steerable.R2Conv(
            one, other, 3, frequencies_cutoff=CUTOFF, recompute=True, bias=False
        ).float()
    torch.manual_seed(0)
    steerable.init.generalized_he_init(reference.weights.data, reference.basisexpansion)
    torch.manual_seed(0)
    conv = GroupConv(kernel_basis(group, "regular"), 2, 3)
    torch.testing.assert_close(conv.weight.flatten(), reference.weights)
    x = torch.randn(2, 2 * order, 8, 8)
    torch.testing.assert_close(
        conv(x), reference(steerable.GeometricTensor(x, one)).tensor, atol=1e-5, rtol=1e-5
    )


def test_layers_share_no_memory() -> None:
    torch.manual_seed(0)
    state = GCNN().build((1, 28, 28), 10).state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)


# ─ batch norm ─


def norm_after(batches: int, fields: int = 3, order: int = 4) -> GroupBatchNorm:
    """A batch norm with random weights that has seen some batches."""
    torch.manual_seed(0)
    norm = GroupBatchNorm(fields, order)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    for _ in range(batches):
        norm(3 * torch.randn(5, fields * order, 6, 7) + torch.randn(fields * order)[:, None, None])
    return norm


def test_batch_norm_has_one_mean_and_variance_per_field() -> None:
    x = torch.randn(5, 12, 6, 7) + torch.arange(12.0)[:, None, None]
    norm = GroupBatchNorm(3, 4)
    fields = norm(x).unflatten(1, (3, 4))
    torch.testing.assert_close(fields.mean((0, 2, 3, 4)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        fields.var((0, 2, 3, 4), correction=0), torch.ones(3), atol=1e-4, rtol=0
    )
    assert (fields.mean((0, 3, 4)).abs() > 0.1).all()  # but the channels of a field still differ
    torch.testing.assert_close(norm.running_mean, 0.1 * x.unflatten(1, (3, 4)).mean((0, 2, 3, 4)))
    assert parameters(norm) == 2 * 3


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_equals_e2cnns(training: bool) -> None:
    norm = norm_after(batches=2).train(training)
    with _e2cnn_compatibility():
        from e2cnn import gspaces
        from e2cnn import nn as steerable

        space = gspaces.Rot2dOnR2(4)
        fields = steerable.FieldType(space, [space.regular_repr] * 3)
        theirs = steerable.InnerBatchNorm(fields).float()
    (inner,) = theirs.children()
    inner.load_state_dict(norm.state_dict())
    x = torch.randn(5, 12, 6, 7)
    expected = theirs.train(training)(steerable.GeometricTensor(x, fields)).tensor
    torch.testing.assert_close(norm(x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norm.running_var, inner.running_var)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_commutes_with_quarter_turns_and_an_ordinary_one_does_not(
    training: bool,
) -> None:
    norm = norm_after(batches=2).train(training)
    x = torch.randn(5, 12, 6, 6) + torch.arange(12.0)[:, None, None]
    torch.testing.assert_close(norm(acted(x, 1)), acted(norm(x), 1), atol=1e-5, rtol=1e-5)
    ordinary = nn.BatchNorm2d(12)
    nn.init.normal_(ordinary.weight)
    assert (ordinary(acted(x, 1)) - acted(ordinary(x), 1)).abs().max() > 0.1


def test_an_exported_batch_norm_is_an_ordinary_one() -> None:
    norm = norm_after(batches=3).eval()
    plain = norm.export().eval()
    assert type(plain) is nn.BatchNorm2d
    assert plain.num_batches_tracked == 3
    x = torch.randn(2, 12, 5, 5)
    torch.testing.assert_close(plain(x), norm(x), atol=1e-6, rtol=1e-6)


# ─ other layers ─


def test_a_tie_in_the_group_shares_the_gradient() -> None:
    x = torch.ones(1, 4, 1, 1, requires_grad=True)
    GroupMax(4)(x).sum().backward()
    assert x.grad.flatten().tolist() == [0.25] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exported_layers_keep_padding_and_dtype(dtype: torch.dtype) -> None:
    net = nn.Sequential(
        nn.Sequential(GroupConv(kernel_basis("c4", "trivial"), 2, 3, padding=1)), nn.ReLU()
    )
    net.append(GroupBatchNorm(3, 4)).to(dtype).eval()
    x = torch.randn(2, 2, 6, 6, dtype=dtype)
    plain = exported(net).eval()
    assert not any(isinstance(layer, GroupConv | GroupBatchNorm) for layer in plain.modules())
    torch.testing.assert_close(plain(x), net(x))
