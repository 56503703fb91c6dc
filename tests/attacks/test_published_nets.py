"""PGD and AutoAttack on published nets: as strong as their peers, and within a proven bound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

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


def robust_accuracy(net: nn.Module, x_adv: Tensor, y: Tensor) -> float:
    return float((net(x_adv).argmax(1) == y).float().mean())


def torchattacks_pgd(net: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
    return pytest.importorskip("torchattacks").PGD(
        net, eps=eps, alpha=step_size, steps=40, random_start=False
    )(batch.x, batch.y)


def foolbox_pgd(net: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
    foolbox = pytest.importorskip("foolbox")
    attack: Any = foolbox.attacks.LinfPGD(abs_stepsize=step_size, steps=40, random_start=False)
    return attack.run(
        foolbox.models.pytorch.PyTorchModel(net, bounds=(0, 1)), batch.x, batch.y, epsilon=eps
    )


# warnings of the peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("eps", [0.1, 0.3])
@pytest.mark.parametrize("checkpoint", [ADVERSARIAL, PROVABLE])
@pytest.mark.parametrize("peer", [torchattacks_pgd, foolbox_pgd])
def test_robust_accuracy_is_that_of_peers_within_half_a_point(
    peer: Callable[..., Tensor], checkpoint: str, eps: float
) -> None:
    """From x: random starts change the robust accuracy of 1,000 images by tenths of a point."""
    net, batch, step_size = published(checkpoint), first(500), 2.5 * eps / 40
    theirs = robust_accuracy(net, peer(net, batch, eps, step_size), batch.y)
    result = PGD(eps=eps, steps=40, step_size=step_size, random_start=False).perturb(
        net, batch, PerExample("", batch.index)
    )
    assert abs(robust_accuracy(net, result.x_adv, batch.y) - theirs) <= 0.005


def test_the_strongest_pgd_finds_no_more_errors_than_the_certificate_allows() -> None:
    """Wong and Kolter's bound on the error at eps 0.1 is 5.82 % on the whole test set."""
    net, batch = published(PROVABLE), first(400)
    result = PGD(eps=0.1, steps=100, restarts=5).perturb(
        net, batch, PerExample("task", batch.index)
    )
    error = 1 - robust_accuracy(net, result.x_adv, batch.y)
    assert 1 - robust_accuracy(net, batch.x, batch.y) <= error <= 0.0582


def test_autoattack_finds_no_more_errors_than_the_certificate_allows() -> None:
    """Wong and Kolter's bound on the error at eps 0.1 is 5.82 % on the whole test set."""
    net, batch = published(PROVABLE), first(100)
    result = AutoAttack(eps=0.1).perturb(net, batch, PerExample("task", batch.index))
    clean, attacked = (robust_accuracy(net, x, batch.y) for x in (batch.x, result.x_adv))
    assert 1 - 0.0582 <= attacked <= clean


def test_autoattack_finds_no_fewer_errors_than_a_long_pgd() -> None:
    net, batch = published(ADVERSARIAL), first(100)
    autoattack, pgd = (
        attack.perturb(net, batch, PerExample("task", batch.index)).x_adv
        for attack in (AutoAttack(eps=0.3), PGD(eps=0.3, steps=100, restarts=5))
    )
    assert robust_accuracy(net, autoattack, batch.y) <= robust_accuracy(net, pgd, batch.y)
