"""Nets whose null spaces are known, and images moved within and out of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from columns import filled
from shown import Shown, shown
from torch import Tensor, nn

from invspec.analysis.intervals import wilson
from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.preimage import Preimage
from invspec.models.fully_connected_firevnet import FullyConnectedFiRevNet
from invspec.perform.proxies import Padded

N = 21  # which is no multiple of what a padded batch is filled up to
LAYERS = ("front", "middle.0", "middle.1")


class Net(nn.Module):
    """Six pixels: the front keeps four, the middle two sums of two, the end the first sum twice."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Linear(6, 4, bias=False)
        self.middle = nn.Sequential(nn.Linear(4, 2, bias=False), nn.ReLU(inplace=True))
        self.end = nn.Linear(2, 2)
        self.unused = nn.Identity()
        self.front.weight.data = torch.eye(4, 6)
        self.middle[0].weight.data = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
        self.end.weight.data = torch.tensor([[1.0, 0], [2, 0]])
        self.end.bias.data = torch.tensor([0.0, -1])
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.middle(self.front(x.flatten(1))))


def images() -> Tensor:
    return torch.rand(N, 1, 1, 6, generator=torch.Generator().manual_seed(0))


def moved(delta: list[float], exact: bool = False) -> Examples:
    """Images that were all moved by delta (6,)."""
    x = images()
    x_adv = x.double() + torch.tensor(delta, dtype=torch.float64)
    tensors = {"x_adv": x_adv.float()} | ({"exact": x_adv} if exact else {})
    return Examples(
        TensorSplit(x, torch.zeros(N, dtype=torch.int64)),
        filled({"index": torch.arange(N)}),
        tensors,
    )


def rows(attacked: Examples, net: nn.Module | None = None, **fields: object) -> dict[str, Shown]:
    found = shown(Preimage(**fields).score(Padded(net or Net()), attacked))  # pyright: ignore[reportArgumentType]
    return {str(row.where["quantity"]): row for row in found}


def values(attacked: Examples, **fields: object) -> list[float]:
    return [row.value for row in rows(attacked, **fields).values()]


def test_there_is_a_row_for_each_layer_the_logits_the_label_and_the_inclusion() -> None:
    found = rows(moved([0] * 6), layers=LAYERS)
    names = [
        "layer front",
        "layer middle.0",
        "layer middle.1",
        "logits",
        "argmax",
        "inclusion_broken",
    ]
    assert list(found) == names
    assert {row.n for row in found.values()} == {N}
    assert list(rows(moved([0] * 6))) == ["logits", "argmax", "inclusion_broken"]


@pytest.mark.parametrize("exact", [True, False])
def test_an_image_is_in_all_its_own_pre_images(exact: bool) -> None:
    assert values(moved([0] * 6, exact), layers=LAYERS, tolerance=0) == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("delta", "deepest"),
    [([0, 0, 0, 0, 1, -3], 3), ([0.5, -0.5, 2, -2, 0, 0], 2), ([0.5, -0.5, 1, 0, 0, 0], 0)],
    ids=["front", "middle", "end"],
)
def test_a_null_space_step_stays_in_the_pre_images_of_its_layer_and_later_ones(
    delta: list[float], deepest: int
) -> None:
    inside = [1.0] * deepest
    assert values(moved(delta, exact=True), layers=LAYERS, tolerance=1e-12) == [0.0] * (
        3 - deepest
    ) + inside + [
        1,
        1,
        0,
    ]


def test_a_label_may_stay_while_the_logits_move() -> None:
    x, stronger = images().flatten(1), rows(moved([5, 0, 0, 0, 0, 0]), layers=LAYERS)
    same = ((x[:, :2].sum(1) - 1) > 0) == ((x[:, :2].sum(1) + 4) > 0)
    assert 0 < same.double().mean() < 1
    assert stronger["logits"].value == 0
    assert stronger["argmax"].value == pytest.approx(same.double().mean().item())
    assert stronger["inclusion_broken"].value == 0


def test_pre_images_grow_with_depth_however_images_move() -> None:
    x = images()
    jumbled = torch.cat([x[1:], x[:1]])
    tensors = {"x_adv": torch.where(torch.arange(N).view(-1, 1, 1, 1) % 3 == 0, x, jumbled)}
    found = values(
        Examples(
            TensorSplit(x, torch.zeros(N, dtype=torch.int64)),
            filled({"index": torch.arange(N)}),
            tensors,
        ),
        layers=LAYERS,
    )
    assert found[:-1] == sorted(found[:-1])
    assert found[0] == pytest.approx(1 / 3)
    assert found[-1] == 0


def test_a_layer_that_stretches_breaks_the_inclusion_at_a_tolerance() -> None:
    near = moved([0.01, 0, 0, 0, 0, 0], exact=True)
    found = rows(near, layers=("front",), tolerance=0.015)  # the logits move by 0.01 and 0.02
    assert [found[name].value for name in ("layer front", "logits", "inclusion_broken")] == [
        1,
        0,
        1,
    ]
    largest = rows(near, tolerance=0.0201, norm="linf")
    assert [largest["logits"].value, rows(near, tolerance=0.0201)["logits"].value] == [1, 0]


def test_exact_images_are_compared_in_float64() -> None:
    inside = [1e-9, -1e-9, 0, 0, 0, 1000.0]
    assert rows(moved(inside, exact=True), tolerance=1e-12)["logits"].value == 1
    assert rows(moved([3e-9, 0, 0, 0, 0, 0]), tolerance=1e-12)["logits"].value > 0  # rounded away
    assert rows(moved([3e-9, 0, 0, 0, 0, 0], exact=True), tolerance=1e-12)["logits"].value == 0


def test_pairs_are_counted_and_bootstrapped_by_source() -> None:
    plain, source = moved([0, 0, 0, 0, 0, 0]), torch.arange(N) // 3
    x_adv = plain.tensors["x_adv"] + (source % 2).view(
        -1, 1, 1, 1
    )  # all pairs of a source have the same fate
    alone = replace(plain, tensors={"x_adv": x_adv})
    paired = replace(alone, judged=filled({"source": source}))
    one, other = (rows(examples)["logits"] for examples in (alone, paired))
    assert (one.n, other.n) == (N, N // 3)
    assert one.value == pytest.approx(other.value)
    assert one.value == pytest.approx(4 / 7)
    assert (one.low, one.high) == wilson(one.value, N)
    assert None not in (one.low, one.high, other.low, other.high)
    assert other.high - other.low > 1.3 * (
        one.high - one.low
    )  # a third of them: sqrt(3), less a small sample's bias


def test_hooks_are_removed() -> None:
    net = Net()
    rows(moved([0] * 6), net, layers=LAYERS)
    assert not any(module._forward_hooks for module in net.modules())


def test_a_bijections_blocks_are_compared_without_their_log_determinant() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = FullyConnectedFiRevNet().build((1, 1, 6), 2).eval().requires_grad_(False)
    assert rows(moved([0] * 6), net, layers=("stages.0",))["layer stages.0"].value == 1
    assert rows(moved([0.1, 0, 0, 0, 0, 0]), net, layers=("stages.0",))["layer stages.0"].value == 0


def test_a_layer_that_does_not_exist_or_run_is_refused() -> None:
    with pytest.raises(InvspecError, match="the net has no layer middle") as problem:
        rows(moved([0] * 6), layers=("middle.7",))
    assert "did you mean middle.1" in problem.value.hint
    with pytest.raises(InvspecError, match="layer unused gave no tensor"):
        rows(moved([0] * 6), layers=("unused",))


def test_a_relative_tolerance_is_a_share_of_the_clean_activations() -> None:
    """The logits of these images are longer than 1; the last pixel but two is in the second sum."""
    attacked = moved([0.01, 0, 0, 0, 0, 0])
    found = rows(attacked, relative_tolerance=0.1)
    assert found["logits"].value == 1
    assert rows(attacked, relative_tolerance=1e-4)["logits"].value == 0
    assert rows(attacked)["logits"].value == 0
