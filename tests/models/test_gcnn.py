import math
import subprocess
import sys

import pytest
import torch
from outputs import change, fresh, outputs, parameters, shapes, turned
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.equivariant.group_conv import GroupConv
from invspec.kinds import Model
from invspec.models.gcnn import GCNN, EvenGCNN
from invspec.registry.methods import make

MNIST = (1, 28, 28)


def built(shape: tuple[int, int, int] = MNIST, **fields: object) -> nn.Module:
    return fresh(GCNN.model_validate(fields), shape).eval()


def test_in_float64_quarter_turns_hold_to_its_own_rounding() -> None:
    x = torch.rand(4, *MNIST, dtype=torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        net = built(head="invariant")
    finally:
        torch.set_default_dtype(torch.float32)
    assert change(net, x, 1) < 1e-13


def test_it_has_the_layers_of_table_1() -> None:
    expected = [(40, 26, 26), (40, 24, 24), (40, 12, 12), (80, 10, 10), (80, 8, 8), (80, 4, 4)]
    assert shapes(built(), torch.zeros(1, *MNIST), GroupConv, nn.MaxPool2d) == expected


@pytest.mark.parametrize(("lifting", "deeper", "convolutions"), [(9, 36, 25_350), (9, 38, 26_750)])
def test_convolutions_have_coefficients_per_pair_of_fields_and_a_bias_per_field(
    lifting: int, deeper: int, convolutions: int
) -> None:
    """Cohen and Welling's count, with 64,560 of the flatten head, is the 89,910 of Table 1."""
    pairs = [(1, 10, lifting), (10, 10, deeper), (10, 20, deeper), (20, 20, deeper)]
    assert sum(fan_in * fan_out * each + fan_out for fan_in, fan_out, each in pairs) == convolutions
    ours = sum(parameters(layer) for layer in built().modules() if isinstance(layer, GroupConv))
    assert (ours == convolutions) == (deeper == 38)


@pytest.mark.parametrize(
    ("head", "read"), [("flatten", 1280), ("group_flatten", 320), ("invariant", 20)]
)
def test_the_heads_differ_in_what_the_linear_layers_read(head: str, read: int) -> None:
    linear = (read + 1) * 50 + 51 * 10
    assert parameters(built(head=head)) == 26_750 + linear


@pytest.mark.parametrize("group", ["c4", "d4", "c8"])
@pytest.mark.parametrize(("initialisation", "orders"), [("conv2d", 1), ("groupy", 0)])
def test_initial_kernels_are_as_large_as_those_of_an_ordinary_convolution(
    group: str, initialisation: str, orders: int
) -> None:
    """conv2d counts every channel that is read; groupy counts fields instead."""
    model = GCNN.model_validate({"group": group, "initialisation": initialisation})
    net = fresh(model, MNIST)
    lift, *convs = [layer for layer in net.modules() if isinstance(layer, GroupConv)]
    for conv, fields in zip(convs, (10, 10, 20), strict=True):
        kernel, bias = conv.expanded()
        read = 9 * fields * model.order**orders
        # the variance of numbers that are uniform within 1 / sqrt(read)
        assert kernel.var().item() == pytest.approx(1 / (3 * read), rel=0.1)
        assert 0.5 < bias.abs().max().item() * math.sqrt(read) <= 1
    assert lift.expanded()[0].var().item() == pytest.approx(1 / 27, rel=0.4)
    if group == "c4":
        # which the basis spans, so that the very numbers are kept
        assert convs[0].expanded()[0].abs().max().item() <= (9 * 10 * 4**orders) ** -0.5 + 1e-6


def test_the_card_gcnn_conv2d_starts_at_the_scale_of_stdcnn() -> None:
    x = torch.rand(16, *MNIST, generator=torch.Generator().manual_seed(0))

    def deviation(name: str, kind: type[nn.Module]) -> float:
        """Of the fourth convolution's output, over four initial nets."""
        net = make("model", name, {})
        assert isinstance(net, Model)
        found = []
        for seed in range(4):
            torch.manual_seed(seed)
            found.append(outputs(net.build(MNIST, 10).eval(), x, kind)[-1].std().item())
        return sum(found) / 4

    plain = deviation("stdcnn", nn.Conv2d)
    assert 0.5 < deviation("gcnn_conv2d", GroupConv) / plain < 1.5
    assert deviation("gcnn", GroupConv) / plain > 5


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
def test_d4_is_invariant_under_reflections_and_c4_is_not() -> None:
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
    assert {type(layer).__module__.split(".")[0] for layer in plain.modules()} <= {
        "torch",
        "invspec",
    }
    assert not any(isinstance(layer, GroupConv) for layer in plain.modules())
    torch.testing.assert_close(plain(x), logits, atol=1e-5, rtol=1e-5)


def test_the_state_is_the_same_in_both_modes() -> None:
    net = built()
    assert net.train().state_dict().keys() == net.eval().state_dict().keys()


def test_images_whose_maps_are_odd_are_refused_by_the_invariant_head_only() -> None:
    assert built(shape=(1, 18, 18))(torch.rand(1, 1, 18, 18)).shape == (1, 10)
    with pytest.raises(
        ValueError, match="an invariant head needs a height and width divisible by 4, found 18x18"
    ):
        GCNN(head="invariant").build((1, 18, 18), 10)
    with pytest.raises(ValueError, match="GCNN needs images of at least 16x16, found 8x8"):
        GCNN().sketch((1, 8, 8), 10)


@pytest.mark.parametrize("group", ["c0", "d0", "so2", "4", "c100", "C4"])
def test_other_groups_are_refused(group: str) -> None:
    with pytest.raises(ValidationError, match="group"):
        GCNN(group=group)


@pytest.mark.slow
def test_neither_the_module_nor_a_sketch_imports_e2cnn() -> None:
    script = (
        "import sys, invspec.models.gcnn as m; m.GCNN().sketch((1, 28, 28), 10); "
        "sys.exit('e2cnn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_only_gradients_that_equal_values_share_turn_with_a_constant_background(
    quarters: int,
) -> None:
    """A digit of noise on black: the bias makes the maps positive where the image is constant."""
    x = torch.zeros(4, *MNIST)
    x[..., 10:18, 12:16] = torch.rand(4, 1, 8, 4, generator=torch.Generator().manual_seed(0))

    def gradient(net: nn.Module, images: Tensor) -> Tensor:
        images = images.double().requires_grad_()
        logits = net(images)
        return torch.autograd.grad((logits * torch.arange(logits.shape[1])).sum(), images)[0]

    errors: list[float] = []
    for model in (EvenGCNN(), GCNN(head="invariant")):
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            net = model.deploy(model.build(MNIST, 10)).double()
        turned = torch.rot90(gradient(net, x), quarters, (2, 3))
        other = gradient(net, torch.rot90(x, quarters, (2, 3)))
        errors.append(((turned - other).abs().max() / turned.abs().max()).item())
    assert errors[0] < 1e-12
    assert errors[1] > 1e-3


def test_sharing_gradients_changes_no_logit() -> None:
    x = torch.rand(3, *MNIST)
    first, second = (fresh(model, MNIST).eval() for model in (GCNN(head="invariant"), EvenGCNN()))
    torch.testing.assert_close(first(x), second(x))
