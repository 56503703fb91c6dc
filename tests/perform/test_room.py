"""On a GPU, the first batch follows from the memory that is free and the memory of a pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from workbench import Memory, perturb, toys, train

from invspec.datasets.fake import Fake
from invspec.memory import BLOCK, Limit, Limits
from invspec.perform import attack
from invspec.perform.proxies import deployed
from invspec.perform.room import PART, CudaCard, card_on, fit

WIDE = train(dataset=Fake(shape=(1, 4, 4), classes=3, train=24, test=100), model=toys.Heavy())


class FakeCard:
    """A card on which every example of a pass takes some bytes."""

    def __init__(self, free: int, cost: int = 1) -> None:
        self.bytes, self.cost, self.probes = free, cost, 0

    def free(self) -> int:
        return self.bytes

    def peak(self, run: Callable[[], object]) -> int:
        run()
        self.probes += 1
        return self.cost * BLOCK


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).requires_grad_(False)


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def limit_for(card: FakeCard, n: int = 1024, model: nn.Module | None = None) -> int | None:
    limit = Limit()
    fit(limit, model or net(), images(n), card)
    return limit.most


@pytest.mark.parametrize(
    ("fitting", "most"), [(100, 64), (64, 64), (63, 32), (17, 16), (3, BLOCK), (10_000, 8192)]
)
def test_the_limit_is_the_largest_power_of_two_that_fits(fitting: int, most: int) -> None:
    cost = 1000
    assert limit_for(FakeCard(int(fitting * cost / PART) + 1, cost)) == most


def test_the_limit_is_measured_once() -> None:
    card, limit = FakeCard(100), Limit()
    for _ in range(3):
        fit(limit, net(), images(64), card)
    assert card.probes == 1


def test_a_batch_that_is_no_larger_than_the_probe_is_not_measured() -> None:
    card = FakeCard(1)
    assert limit_for(card, BLOCK) is None
    assert card.probes == 0


def test_a_cpu_is_not_measured() -> None:
    assert card_on(torch.device("cpu"), 1) is None
    limit = Limit()
    fit(limit, net(), images(64), None)
    assert (limit.most, limit.is_measured) == (None, False)


class Fails(nn.Module):
    """Raises an error in every pass."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, x: Tensor) -> Tensor:
        raise self.problem


@pytest.mark.parametrize(
    ("problem", "most"),
    [(torch.OutOfMemoryError("full"), BLOCK), (RuntimeError("shapes do not match"), None)],
)
def test_where_the_probe_fails_the_attack_finds_out(problem: Exception, most: int | None) -> None:
    assert limit_for(FakeCard(10**9), model=Fails(problem)) == most


def test_a_probe_leaves_draws_and_gradients_alone() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x + torch.rand_like(x)).flatten(1)

    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    limit_for(FakeCard(100), model=Noisy())
    assert torch.equal(torch.rand(3), expected)
    weights = net().requires_grad_()
    limit_for(FakeCard(100), model=weights)
    assert all(weight.grad is None for weight in weights.parameters())


@pytest.mark.bits
def test_an_attack_starts_with_the_batch_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    task = perturb(toys.Ascent(), WIDE, (0, 100))
    expected = Memory(batch_size=100).load(task).tensors
    shares: list[float] = []

    def card(device: torch.device, share: float) -> FakeCard:
        shares.append(share)
        return FakeCard(int(40 / PART))

    monkeypatch.setattr(attack, "card_on", card)
    runtime = Memory(batch_size=100)
    runtime.limits = Limits(share=0.25)
    tensors = runtime.load(task).tensors
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    rows: Any = deployed(WIDE, runtime).net.rows
    assert max(rows) == 32
    assert shares == [0.25]


@pytest.mark.parametrize(
    ("share", "nobodys", "expected"),
    # of 1000 bytes; this worker has allocated 100 and keeps 50 more
    [(1.0, 700, 750), (1.0, 880, 900), (0.5, 700, 400), (0.1, 700, 0)],
)
def test_a_worker_takes_no_more_than_its_share_and_what_nobody_has(
    monkeypatch: pytest.MonkeyPatch, share: float, nobodys: int, expected: int
) -> None:
    for name, value in {
        "mem_get_info": (nobodys, 1000),
        "memory_allocated": 100,
        "memory_reserved": 150,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert CudaCard(torch.device("cuda", 0), share).free() == expected


@pytest.mark.gpu
def test_a_gpu_measures_what_a_run_takes() -> None:
    device = torch.device("cuda", 0)
    card = CudaCard(device, 1.0)
    assert card.peak(lambda: torch.empty(2**20, dtype=torch.uint8, device=device)) >= 2**20
    assert 0 < card.free() <= torch.cuda.mem_get_info(device)[1]
