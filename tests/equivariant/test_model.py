"""Models whose convolutions commute with a group: their heads, sketches and deployed nets."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from outputs import acted, lived, turned
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.equivariant.group_conv import GroupBatchNorm, GroupConv
from invspec.equivariant.model import (
    EquivariantLayers,
    EquivariantModel,
    Head,
    numbers_per_field,
    readout,
    require_even_maps,
)
from invspec.layers.factory import LayerFactory, PlainLayers
from invspec.ops.types import Shape

FIELDS = 2


class Small(EquivariantModel):
    """One convolution of each kind, and a head."""

    head: Head = "invariant"

    def assemble(self, layers: LayerFactory, shape: Shape, classes: int) -> nn.Sequential:
        channels, height, width = shape
        numbers = FIELDS * numbers_per_field(self.head, self.order, height, width)
        return nn.Sequential(
            *(layers.lift(channels, FIELDS, padding=1), layers.norm(FIELDS), nn.ReLU()),
            *(layers.conv(FIELDS, FIELDS, padding=1), readout(self.head, self.order)),
            nn.Linear(numbers, classes),
        )


SHAPE = (1, 6, 6)


def images() -> Tensor:
    return torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def net_of(model: Small) -> nn.Module:
    torch.manual_seed(0)
    return lived(model.build(SHAPE, 3), images())


@pytest.mark.parametrize("padding", [0, 1])
def test_maps_have_the_shapes_of_those_of_ordinary_layers(padding: int) -> None:
    x, shapes = torch.rand(2, 3, 7, 7), list[list[torch.Size]]()
    for layers in (PlainLayers(4), EquivariantLayers("c4")):
        maps = layers.lift(3, 2, 3, padding)(x)
        shapes.append([maps.shape, layers.conv(2, 5, 4, padding)(layers.norm(2)(maps)).shape])
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("head", ["flatten", "group_flatten", "invariant"])
@pytest.mark.parametrize("order", [1, 4])
def test_a_head_gives_as_many_numbers_per_field_as_it_says(head: Head, order: int) -> None:
    maps = torch.rand(2, 3 * order, 5, 7)
    assert readout(head, order)(maps).shape == (2, 3 * numbers_per_field(head, order, 5, 7))


def test_an_invariant_head_reads_the_maximum_of_each_field() -> None:
    maps = torch.randn(2, 3 * 4, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = maps.view(2, 3, -1).max(dim=2).values
    assert torch.equal(readout("invariant", 4)(maps), expected)
    assert torch.equal(readout("invariant", 4)(acted(maps, 1)), expected)


def test_a_flat_head_over_the_group_turns_with_the_image() -> None:
    maps = torch.randn(2, 3 * 4, 5, 5, generator=torch.Generator().manual_seed(0))
    flat, other = (readout("group_flatten", 4)(each) for each in (maps, acted(maps, 1)))
    assert torch.equal(other.view(2, 3, 5, 5), turned(flat.view(2, 3, 5, 5), 1))


@pytest.mark.parametrize(("head", "invariant"), [("invariant", True), ("flatten", False)])
def test_only_an_invariant_head_makes_the_logits_invariant(head: Head, invariant: bool) -> None:
    net, x = net_of(Small(head=head)), images()
    assert torch.allclose(net(turned(x, 1)), net(x), atol=1e-5) is invariant


@pytest.mark.parametrize("group", ["c4", "d4"])
def test_a_deployed_net_has_ordinary_layers_and_the_same_logits(group: str) -> None:
    model = Small(group=group)
    net = net_of(model)
    expected = net(images())
    deployed = model.deploy(net)
    assert not any(isinstance(m, GroupConv | GroupBatchNorm) for m in deployed.modules())
    torch.testing.assert_close(deployed(images()), expected, atol=1e-5, rtol=1e-5)
    sketch = model.sketch(SHAPE, 3).state_dict()
    assert {name: tensor.shape for name, tensor in deployed.state_dict().items()} == {
        name: tensor.shape for name, tensor in sketch.items()
    }


def test_a_net_of_another_kind_is_not_deployed() -> None:
    with pytest.raises(AssertionError, match="expected a StandardisedNet"):
        Small().deploy(nn.Flatten())


@pytest.mark.parametrize(("group", "order"), [("c1", 1), ("c4", 4), ("d1", 2), ("d12", 24)])
def test_reflections_double_the_order(group: str, order: int) -> None:
    assert Small(group=group).order == order


@pytest.mark.parametrize("group", ["c0", "c100", "e4", "c", "4"])
def test_other_groups_are_refused(group: str) -> None:
    with pytest.raises(ValidationError, match="group"):
        Small(group=group)


def test_maps_that_do_not_halve_evenly_are_refused() -> None:
    require_even_maps((1, 28, 32), 4)
    for shape in ((1, 30, 28), (1, 28, 30)):
        found = f"divisible by 4, found {shape[1]}x{shape[2]}"
        with pytest.raises(ValueError, match=found):
            require_even_maps(shape, 4)


@pytest.mark.slow
def test_a_sketch_does_not_import_e2cnn() -> None:
    code = (
        "import sys; from invspec.models.gcnn import GCNN; GCNN().sketch((1, 28, 28), 10);"
        "print('e2cnn' in sys.modules)"
    )
    call = [sys.executable, "-c", code]
    assert subprocess.run(call, check=True, capture_output=True, text=True).stdout == "False\n"
