import pytest
import torch
from outputs import acted, change, fresh, lived, outputs, parameters, shapes, turned
from torch import nn

from invspec.equivariant.group_conv import GroupBatchNorm, GroupConv
from invspec.models.gcnn_vgg16 import GCNNVGG16
from invspec.models.vgg16 import VGG16

CIFAR = (3, 32, 32)
CONVS = [  # channels in and out, and the size of the map
    *((3, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16)),
    *((128, 256, 8), (256, 256, 8), (256, 256, 8)),
    *((256, 512, 4), (512, 512, 4), (512, 512, 4), (512, 512, 2), (512, 512, 2), (512, 512, 2)),
]
NARROW = (8, 8, 12, 12, 16)


def images(n: int = 4) -> torch.Tensor:
    return torch.rand(n, *CIFAR, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("keep", "factor"), [("channels", 1), ("parameters", 2)])
def test_gcnn_vgg16_keeps_the_channels_or_about_the_parameters(keep: str, factor: int) -> None:
    model = GCNNVGG16.model_validate({"keep": keep})
    assert model.fields == tuple(width // factor for width in VGG16().widths)
    sketch, x = model.sketch(CIFAR, 10), torch.zeros(1, *CIFAR, device="meta")
    expected = [(4 * fan_out // factor, size, size) for _, fan_out, size in CONVS]
    assert shapes(sketch, x, nn.Conv2d) == shapes(sketch, x, nn.BatchNorm2d) == expected
    linear = [layer for layer in sketch.modules() if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in linear] == [4 * 512 // factor]


def test_gcnn_vgg16_with_keep_parameters_has_5_percent_more_coefficients() -> None:
    """38 coefficients span the 36 dimensions of a kernel, and there are half as many fields."""
    halved = [(fan_in // 2, fan_out // 2) for fan_in, fan_out, _ in CONVS[1:]]
    convolutions = (
        3 * 32 * 9 + 32 + sum(38 * fan_in * fan_out + fan_out for fan_in, fan_out in halved)
    )
    norms = sum(fan_out for _, fan_out, _ in CONVS)
    twin = parameters(fresh(GCNNVGG16(keep="parameters"), CIFAR))
    assert twin == convolutions + norms + 4 * 256 * 10 + 10
    assert twin / 14_728_266 == pytest.approx(38 / 36, abs=0.003)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("quarters", [1, 2, 3])
@torch.no_grad()
def test_every_feature_map_turns_with_the_image(quarters: int, training: bool) -> None:
    """Its group elements are permuted; in train mode, too, as they share the batch's statistics."""
    net, x = lived(fresh(GCNNVGG16(widths=NARROW), CIFAR), images()).train(training), images()
    kinds = (GroupConv, GroupBatchNorm, nn.MaxPool2d)
    upright, lying = outputs(net, x, *kinds), outputs(net, turned(x, quarters), *kinds)
    assert len(upright) == 13 + 13 + 5
    for before, after in zip(upright, lying, strict=True):
        torch.testing.assert_close(after, acted(before, quarters), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_heads_that_do_not_read_the_group_element_are_invariant(quarters: int) -> None:
    """The last map of 32 x 32 images has one position, so the maximum over the group is enough."""
    changes = {
        head: change(
            lived(fresh(GCNNVGG16(head=head, widths=NARROW), CIFAR), images()), images(), quarters
        )
        for head in ("flatten", "group_flatten", "invariant")
    }
    assert max(changes["invariant"], changes["group_flatten"]) < 1e-5
    assert changes["flatten"] > 0.01


def test_on_larger_images_an_invariant_head_must_not_read_the_position() -> None:
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    changes = {
        head: change(lived(fresh(GCNNVGG16(head=head, widths=(8,) * 5), (3, 64, 64)), x), x, 1)
        for head in ("group_flatten", "invariant")
    }
    assert changes["invariant"] < 1e-5
    assert changes["group_flatten"] > 0.001


@torch.no_grad()
def test_the_deployed_gcnn_vgg16_is_plain_and_equals_the_trained_one() -> None:
    model = GCNNVGG16(widths=NARROW)
    net = lived(fresh(model, CIFAR), images())
    logits = net(images())
    plain = model.deploy(net)
    convs_and_norms = [
        layer for layer in plain.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)
    ]
    assert len(convs_and_norms) == 26
    assert {type(layer) for layer in convs_and_norms} == {nn.Conv2d, nn.BatchNorm2d}
    torch.testing.assert_close(plain(images()), logits, atol=1e-5, rtol=1e-5)


def test_an_invariant_head_needs_even_maps() -> None:
    assert GCNNVGG16().sketch((3, 48, 48), 10)
    with pytest.raises(
        ValueError,
        match="an invariant head needs a height and width divisible by 32, found 48x48",
    ):
        GCNNVGG16(head="invariant").sketch((3, 48, 48), 10)
