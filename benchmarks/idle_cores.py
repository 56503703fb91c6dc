"""Which bits of a net hang on the number of threads, and what do idle cores save?

    python benchmarks/idle_cores.py [--threads 2] [--rounds 5] [--nets stdcnn mlp]

First each net computes on one thread and on several, as training with the field `threads` does:
are its logits, and the gradients of its images and weights, equal to the last bit? Then it learns,
and is attacked by PGD, on the threads that idle cores give: are weights and images those of one
thread, and how long does it take? Ratios are medians over rounds, in which both run in turn; they
mean nothing on a busy machine, where `--rounds 0` takes none. The exit code is 1 if idle cores
change a bit.
"""

from __future__ import annotations

# before torch, so that MKL computes products in its reproducible mode
import invspec  # isort: skip

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from timing import machine, random_batch
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.execution import threads
from invspec.execution.determinism import reproducible
from invspec.execution.threads import Alone, SpareThreads
from invspec.kinds import Model
from invspec.ops.draws import PerExample
from invspec.ops.types import Shape
from invspec.perform.proxies import Padded
from invspec.registry.methods import make

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
# the shape and number of images of an update
NETS: dict[str, tuple[Shape, int]] = {
    "stdcnn": (MNIST, 64),
    "lenet": (MNIST, 64),
    "gcnn": (MNIST, 64),
    "p4cnn": (MNIST, 64),
    "mlp": (MNIST, 64),
    "preact_resnet18": (CIFAR, 32),
    "irevnet": (CIFAR, 8),
}
HEADINGS = (
    *("net", "logits", "gradients of images", "of weights"),
    *("trained on idle cores", "attacked", "update, x one thread", "PGD, x one thread"),
)
UPDATES, STEPS = 4, 4
Run = Callable[[], list[Tensor]]


def main() -> int:
    options = arguments()
    held = True
    with reproducible(torch.device("cpu")):
        print(f"{machine()}; invspec {invspec.__version__}; {options.threads} threads\n")
        print(f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
        for name in options.nets:
            bits, idle, ratios = measured(name, options.threads, options.rounds)
            held &= all(idle)
            words = ["equal" if equal else "differ" for equal in (*bits, *idle)]
            print(f"| {' | '.join([name, *words, *(f'{ratio:.2f}' for ratio in ratios)])} |")
            sys.stdout.flush()
    return int(not held)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="several threads")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each")
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS), help="nets to try")
    return parser.parse_args()


def measured(name: str, count: int, rounds: int) -> tuple[list[bool], list[bool], list[float]]:
    """Which parts of a pass are equal on several threads, what idle cores give, and ratios."""
    shape, examples = NETS[name]
    torch.manual_seed(0)
    batch = random_batch(examples, shape)
    model = cast(Model, make("model", name, {}))

    def fresh() -> nn.Module:
        torch.manual_seed(0)
        return model.build(shape, 10)

    net = Padded(fresh().eval().requires_grad_(False))
    works: list[Run] = [lambda: trained(fresh(), batch), lambda: [attacked(net, batch)]]
    with eager(pays=float("inf")):
        bits = list(map(same, passes(fresh(), batch, 1), passes(fresh(), batch, count)))
        idle = [same(work(), inside(SpareThreads(Alone(count)), work)) for work in works]
    with eager(pays=threads.PAYS):
        return bits, idle, [ratio(work, SpareThreads(Alone(count)), rounds) for work in works]


@contextmanager
def eager(pays: float) -> Generator[None]:
    """Operations are proven when they come a second time; `pays` as in threads.PAYS."""
    before = threads.RECURRENCES, threads.PAYS
    threads.RECURRENCES, threads.PAYS = 2, pays
    try:
        yield
    finally:
        threads.RECURRENCES, threads.PAYS = before


def passes(net: nn.Module, batch: Batch, count: int) -> list[list[Tensor]]:
    """Logits, gradients of images and gradients of weights, on a number of threads."""
    torch.set_num_threads(count)
    torch.manual_seed(1)
    x = batch.x.clone().requires_grad_()
    logits = net(x)
    F.cross_entropy(logits, batch.y).backward()
    torch.set_num_threads(1)
    gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
    assert x.grad is not None
    return [[logits], [x.grad], gradients]


def trained(net: nn.Module, batch: Batch) -> list[Tensor]:
    """The state of a net after some updates on batches of two sizes."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    torch.manual_seed(1)
    for update in range(UPDATES):
        size = len(batch) if update % 2 else len(batch) - 3
        optimiser.zero_grad()
        F.cross_entropy(net(batch.x[:size]), batch.y[:size]).backward()
        optimiser.step()
    return list(net.state_dict().values())


def attacked(net: nn.Module, batch: Batch) -> Tensor:
    """The images that PGD finds."""
    attack = PGD(eps=0.1, steps=STEPS, random_start=True)
    return attack.perturb(net, batch, PerExample("idle cores", batch.index)).x_adv


def inside(context: AbstractContextManager[object], work: Run) -> list[Tensor]:
    with context:
        return work()


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    """Whether tensors are equal bit by bit."""
    pairs = zip(a, b, strict=True)
    return all(x.numpy(force=True).tobytes() == y.numpy(force=True).tobytes() for x, y in pairs)


def ratio(work: Run, spare: SpareThreads, rounds: int) -> float:
    """The time with idle cores relative to that on one thread."""

    def seconds(context: AbstractContextManager[object]) -> float:
        start = time.perf_counter()
        inside(context, work)
        return time.perf_counter() - start

    if not rounds:
        return float("nan")
    # proofs come before the clock starts
    inside(spare, work)
    return statistics.median(seconds(spare) / seconds(nullcontext()) for _ in range(rounds))


if __name__ == "__main__":
    sys.exit(main())
