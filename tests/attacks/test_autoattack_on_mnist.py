"""AutoAttack on published checkpoints: never stronger than a proof allows, never weaker than PGD."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from workbench import digits, published

from invspec.attacks.autoattack import AutoAttack
from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.ops.draws import PerExample

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA names no folder"),
]
ADVERSARIAL, PROVABLE = "mnist_cnn_a_adv", "convex_adversarial_mnist"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def first(n: int) -> Batch:
    return next(digits(n).batches(n))


def error(net: nn.Module, x_adv: Tensor, y: Tensor) -> float:
    return float((net(x_adv).argmax(1) != y).float().mean())


def test_it_finds_no_more_errors_than_the_certificate_allows() -> None:
    """Wong and Kolter's bound on this net's error at eps 0.1 is 5.82 % over the test set; here, its first images."""
    net, batch = published(PROVABLE), first(100)
    found = AutoAttack(eps=0.1).perturb(net, batch, PerExample("task", batch.index))
    assert error(net, batch.x, batch.y) <= error(net, found.x_adv, batch.y) <= 0.0582


def test_it_finds_no_fewer_errors_than_a_long_pgd() -> None:
    net, batch = published(ADVERSARIAL), first(100)
    found, pgd = (
        attack.perturb(net, batch, PerExample("task", batch.index))
        for attack in (AutoAttack(eps=0.3), PGD(eps=0.3, steps=100, restarts=5))
    )
    assert error(net, found.x_adv, batch.y) >= error(net, pgd.x_adv, batch.y)
