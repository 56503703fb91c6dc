"""Dropout masks do not depend on the device and come from the training's draws."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from recipes import Recording, Resumed, convolutional, grey, trained, weights
from torch import Tensor, nn
from torchvision.ops import StochasticDepth
from workbench import environment

from invspec.data import Journal
from invspec.defences.standard import Standard
from invspec.ops import draws
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliaries
from invspec.training.dropout import LEVELS, mask, own_masks
from invspec.training.loop import fit

ONES = torch.ones(8, 6, 5, 5)


def dropped(layer: nn.Module, x: Tensor = ONES, seed: int = 0, calls: int = 1) -> Tensor:
    with own_masks(layer.modules(), seed):
        return torch.stack([layer(x) for _ in range(calls)])


def test_masks_are_those_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    host = dropped(nn.Dropout(0.3), calls=3)
    monkeypatch.setattr(draws, "belongs_on_device", lambda *size: True)
    assert torch.equal(dropped(nn.Dropout(0.3), calls=3), host)


def test_masks_do_not_depend_on_torchs_generators_and_leave_them_alone() -> None:
    torch.manual_seed(1)
    first, state = dropped(nn.Dropout()), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(dropped(nn.Dropout()), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_masks_differ_by_seed_layer_and_call() -> None:
    net = nn.ModuleList([nn.Dropout(), nn.Dropout()])
    masks = list[Tensor]()
    for seed in (0, 1):
        with own_masks(net.modules(), seed):
            masks += [layer(ONES).flatten() for layer in net for _ in range(2)]
    assert len(torch.stack(masks).unique(dim=0)) == 8


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_of_dropped_units_is_the_rate_and_the_mean_is_kept(rate: float) -> None:
    units = dropped(nn.Dropout(rate), torch.ones(200, 500)).flatten()
    # 100,000 units: five standard errors of the share and of the mean
    error = 5 * (rate * (1 - rate) / len(units)) ** 0.5
    assert (units == 0).double().mean().item() == pytest.approx(rate, abs=error)
    assert units.double().mean().item() == pytest.approx(1, abs=error / (1 - rate))
    assert units.unique().tolist() == pytest.approx([0, 1 / (1 - rate)], rel=1e-4)


def test_a_unit_is_dropped_by_its_16_bits() -> None:
    drawn = torch.tensor([-(2**15), -(2**15) + 1, 0, 2**15 - 1], dtype=torch.int16)
    units = mask(drawn.view(torch.int64), (2, 2), 1 / LEVELS)
    scale = torch.tensor(LEVELS / (LEVELS - 1)).item()  # in float32
    assert units.tolist() == [[0, scale], [scale, scale]]


def test_all_units_are_dropped_at_rate_1_and_none_at_0_or_in_eval_mode() -> None:
    assert not dropped(nn.Dropout(1.0)).any()
    assert torch.equal(dropped(nn.Dropout(0.0))[0], ONES)
    assert torch.equal(dropped(nn.Dropout().eval())[0], ONES)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout1d(), (8, 6, 1, 1)),
        (nn.Dropout2d(), (8, 6, 1, 1)),
        (nn.Dropout3d(), (8, 6, 1, 1)),
        (StochasticDepth(0.5, "row"), (8, 1, 1, 1)),
        (StochasticDepth(0.5, "batch"), (1, 1, 1, 1)),
    ],
)
def test_layers_that_drop_maps_or_branches_drop_them_whole(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    masks = dropped(layer, calls=9)
    first = masks[(slice(None), *(slice(size) for size in shape))]
    assert torch.equal(masks, first.expand_as(masks))
    assert len(masks.unique()) == 2


def test_the_gradient_passes_where_units_are_kept() -> None:
    x = ONES.clone().requires_grad_()
    y = dropped(nn.Dropout(0.3), x)[0]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())


def test_low_precision_stays_low() -> None:
    assert dropped(nn.Dropout(), ONES.bfloat16()).dtype == torch.bfloat16


def test_layers_are_restored_and_subclasses_left_alone() -> None:
    class Own(nn.Dropout):
        def forward(self, input: Tensor) -> Tensor:
            return input + 1

    net = nn.Sequential(nn.Dropout(), Own())
    with own_masks(net.modules(), 0):
        assert net[1](ONES).eq(2).all()
    with pytest.raises(RuntimeError), own_masks(net.modules(), 0):
        raise RuntimeError
    assert not any("forward" in vars(layer) for layer in net)


def test_a_copy_has_a_mode_of_its_own() -> None:
    net = nn.Sequential(nn.Dropout())
    with own_masks(net.modules(), 0):
        assert torch.equal(copy.deepcopy(net).eval()(ONES), ONES)
        assert not torch.equal(net(ONES), ONES)


# ─ in trainings ─


def test_a_training_drops_by_its_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("drawn from the generator of the device")

    monkeypatch.setattr(torch.nn.functional, "dropout", refuse)
    recipe = Standard(epochs=2, batch_size=16, lr=0.1)
    first, second = (weights(trained(recipe, grey(), convolutional())) for _ in range(2))
    assert torch.equal(first, second)
    kept = convolutional()
    kept.get_submodule("4").p = 0.0  # pyright: ignore[reportArgumentType]
    assert not torch.equal(weights(trained(recipe, grey(), kept)), first)


def test_a_resumed_training_drops_the_same_units() -> None:
    recipe, journal = Standard(epochs=3, batch_size=16, lr=0.1), Recording()
    expected = weights(trained(recipe, grey(), convolutional(), journal))
    resumed = trained(recipe, grey(), convolutional(), Resumed(journal.states[0]))
    assert torch.equal(weights(resumed), expected)


def test_auxiliaries_drop_by_the_trainings_draws() -> None:
    auxiliary, found = nn.Dropout(), list[bool]()

    def prepare(net: nn.Module, batch: Any, progress: float, rng: Stream) -> Any:
        found.append("forward" in vars(auxiliary))
        return batch

    fit(
        convolutional(),
        grey(),
        Stream("key"),
        Journal(),
        Standard(epochs=1),
        prepare=prepare,
        auxiliary=Auxiliaries({"rival": auxiliary}),
    )
    assert found
    assert all(found)


def test_a_training_does_not_import_torchvision() -> None:
    # it would add a second to the start of every worker
    code = "import sys, invspec.defences.standard; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == 0
