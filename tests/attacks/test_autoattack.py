from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from invspec.attacks.autoattack import AutoAttack
from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.errors import InvspecError, SpecError
from invspec.ops.draws import PerExample
from invspec.registry.methods import make

CHEAP = {"steps": 10, "queries": 60}


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A tiny net that tells five noisy patterns apart."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 5))
    optimiser, batch = torch.optim.SGD(net.parameters(), lr=0.5), patterns(250)
    for _ in range(80):
        optimiser.zero_grad()
        F.cross_entropy(net(batch.x), batch.y).backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


def patterns(n: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    means = 0.5 + 0.15 * torch.randn(5, 2, 4, 4, generator=generator)
    y = torch.arange(n) % 5
    return Batch(
        (means[y] + 0.1 * torch.randn(n, 2, 4, 4, generator=generator)).clamp(0, 1),
        y,
        torch.arange(n),
    )


def draws(batch: Batch) -> PerExample:
    return PerExample("task", batch.index)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.06), ("l2", 0.3)])
def test_the_answer_fools_the_examples_that_any_stage_fools(
    trained: nn.Module, norm: Any, eps: float
) -> None:
    batch, attack = patterns(60), AutoAttack(eps=eps, norm=norm, **CHEAP)
    rng, fooled = draws(batch), trained(batch.x).argmax(1) != batch.y
    forwards, backwards = torch.ones(60, dtype=torch.int64), torch.zeros(60, dtype=torch.int64)
    for stage in attack.stages:
        rows = (~fooled).nonzero().flatten()
        result = stage.perturb(trained, batch.take(rows), rng.take(rows))
        fooled[rows] = trained(result.x_adv).argmax(1) != batch.y[rows]
        forwards[rows] += result.forwards + 1
        backwards[rows] += result.backwards
    together = attack.perturb(trained, batch, draws(batch))
    assert torch.equal(trained(together.x_adv).argmax(1) != batch.y, fooled)
    assert 0 < fooled.sum() < 60
    assert torch.equal(together.forwards, forwards)
    assert torch.equal(together.backwards, backwards)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.06), ("l2", 0.3)])
def test_it_fools_every_example_that_pgd_fools(trained: nn.Module, norm: Any, eps: float) -> None:
    batch = patterns(60)
    pgd = PGD(eps=eps, norm=norm, steps=50, restarts=2).perturb(trained, batch, draws(batch))
    result = AutoAttack(eps=eps, norm=norm, **{**CHEAP, "steps": 50}).perturb(
        trained, batch, draws(batch)
    )
    by_pgd, by_all = (trained(x_adv).argmax(1) != batch.y for x_adv in (pgd.x_adv, result.x_adv))
    assert (by_all | ~by_pgd).all()


def test_the_defaults_are_those_of_the_standard_evaluation() -> None:
    ce, targeted, fab, square = (stage.identity["fields"] for stage in AutoAttack(eps=0.3).stages)
    assert (ce["loss"], ce["steps"], ce["restarts"]) == ("ce", 100, 1)
    assert (targeted["loss"], targeted["steps"], targeted["targets"]) == ("dlr_targeted", 100, 9)
    assert (fab["eps"], fab["steps"], fab["targets"], fab["restarts"]) == (0.3, 100, 9, 1)
    assert (square["queries"], square["area"], square["rescale"], square["restarts"]) == (
        5000,
        0.8,
        False,
        1,
    )


def test_fewer_than_four_classes_are_refused() -> None:
    batch, model = patterns(4), nn.Sequential(nn.Flatten(), nn.Linear(32, 3)).requires_grad_(False)
    with pytest.raises(
        InvspecError,
        match="the targeted dlr loss of autoattack needs at least four classes, the model has 3",
    ):
        AutoAttack().perturb(model, batch, draws(batch))


def test_a_smoke_run_is_cheap() -> None:
    smoke = AutoAttack().smoke()
    assert (smoke.steps, smoke.targets, smoke.queries) == (2, 2, 10)


@pytest.mark.parametrize(
    ("suite", "classes", "needed"), [("standard", 3, "four"), ("rand", 2, "three")]
)
def test_too_few_classes_are_named(suite: Any, classes: int, needed: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(32, classes))
    batch = Batch(torch.zeros(2, 2, 4, 4), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    with pytest.raises(InvspecError, match=f"at least {needed} classes, the model has {classes}"):
        AutoAttack(suite=suite).perturb(net, batch, draws(batch))


def test_the_name_of_other_tools_is_known() -> None:
    with pytest.raises(SpecError, match="it is called suite: standard or rand"):
        make("attack", "autoattack", {"version": "rand"})
