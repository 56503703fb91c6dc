"""Is a GPU used correctly, and to the full?

    python benchmarks/gpu.py [--device cuda:0] [--out gpu.json] [--quick]

Draws on the device must equal those of the CPU. Models, attacks and defences must agree with the
CPU. A training must give the same bits twice, and when it is killed and resumed. PGD on replayed
passes must give the same images. Then the speed is measured: tasks per minute with several workers,
with CUDA graphs and without, PGD relative to a bare loop, and an epoch of CCAT.

It ends within 8 minutes, and leaves out what would come later. --quick runs all of the code on the
CPU in about a minute; its numbers mean nothing. (As cuda.py this file would hide the package cuda,
which torch imports.)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from agreement import agreement
from device_runs import equal_bits, throughput
from findings import Finding, Section, collected, equal, show, write
from timing import CONSOLE, Case, bare, lenet_case, machine, random_batch, resnet_case
from torch import Tensor, nn

import invspec
from invspec.attacks.pgd import PGD
from invspec.data import Journal
from invspec.datasets.fake import Fake
from invspec.execution.determinism import reproducible
from invspec.kinds import Defence, Model
from invspec.memory import Limit
from invspec.ops import draws
from invspec.ops.draws import Draws, PerExample, Stream
from invspec.perform.cuda_graphs import recorder_on
from invspec.perform.proxies import Padded
from invspec.perform.room import card_on, fit
from invspec.registry.methods import make

# nothing starts later than this, and nothing takes more than a minute: it all ends within 8 minutes
SECONDS = 420
CIFAR_TRAINING, EPOCHS = 50_000, 200


def main() -> int:
    options = arguments()
    device = torch.device("cpu" if options.quick else options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU here; --quick runs all of the code on the CPU", file=sys.stderr)
        return 2
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, reproducible(device):
        found = collected(sections(device, Path(folder), options.quick), SECONDS)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    facts = {"device": name, "torch": torch.__version__, "machine": machine()}
    CONSOLE.print(f"{name}; {facts['machine']}; invspec at {Path(invspec.__file__).parent}")
    show(found, CONSOLE)
    write(options.out, facts, found)
    return int(any(finding.holds is False for finding in found))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda:0", help="the GPU to test")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="file of all numbers")
    parser.add_argument("--quick", action="store_true", help="all of the code, on the CPU")
    return parser.parse_args()


def sections(device: torch.device, folder: Path, quick: bool) -> dict[str, Section]:
    """What is tested first, then what is timed, by name."""
    return {
        "draws": lambda: equal_draws(device, quick),
        "bits": lambda: equal_bits(str(device), folder, quick),
        "PGD": lambda: pgd(device, quick),
        "CCAT": lambda: ccat(device, quick),
        "throughput": lambda: throughput(str(device), folder, quick),
        # last, because it may be cut short
        "agreement": lambda: agreement(device, quick),
    }


# ─ draws ──────────────────────────────────────────────────────────────────────────────────────


DRAWN: dict[str, Callable[[Draws, int], Tensor]] = {
    "uniform": lambda rng, n: rng.uniform((n, 28, 28)),
    "normal": lambda rng, n: rng.normal((n, 28, 28)),
    "integers": lambda rng, n: rng.integers(1000, (n, 783)),
    "integers, many refused": lambda rng, n: rng.integers(3 * 2**30, (n, 101)),
}


@contextmanager
def always_on_device() -> Generator[None]:
    """Compute all draws in tensors, also few of them, and on a CPU."""
    decision = draws.belongs_on_device
    draws.belongs_on_device = lambda device, examples, numbers: True
    try:
        yield
    finally:
        draws.belongs_on_device = decision


def equal_draws(device: torch.device, quick: bool) -> Iterator[Finding]:
    """The numbers of the device against those of the host, and the time of both."""
    index = torch.arange(64 if quick else 1024) * 2**30
    for name, draw in DRAWN.items():
        start = time.perf_counter()
        expected = draw(PerExample("key", index), len(index))
        host = time.perf_counter() - start
        with always_on_device():
            found = draw(PerExample("key", index, device), len(index))
            seconds = timed(lambda d=draw: d(PerExample("key", index, device), len(index)), device)
        yield equal("draws", name, torch.equal(found.cpu(), expected))
        yield Finding("draws", f"{name}: time", 1e3 * seconds, "ms", note=f"host {1e3 * host:.3g}")
    rows = torch.tensor([5, 3, 60])
    with always_on_device():
        taken = PerExample("key", index, device).take(rows.to(device)).uniform((3, 7))
        bits = draws.bits("key", 1, 2, 10_001, device)
    expected = PerExample("key", index).uniform((len(index), 7))[rows]
    yield equal("draws", "subset", torch.equal(taken.cpu(), expected))
    host_bits = draws.bits("key", 1, 2, 10_001, torch.device("cpu"))
    yield equal("draws", "dropout masks", torch.equal(bits.cpu(), host_bits))


# ─ speed ──────────────────────────────────────────────────────────────────────────────────────


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of a run, which is over when the device is idle."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pgd(device: torch.device, quick: bool) -> Iterator[Finding]:
    """Seconds of PGD over those of its forward and backward passes alone, in turns."""
    large = {"LeNet": 1024, "ResNet-18": 512}
    for case in (lenet_case(quick), resnet_case(quick)):
        n = len(case.batch) if quick else large[case.name.split(",")[0]]
        shape = cast("tuple[int, int, int]", tuple(case.batch.x.shape[1:]))
        batch = random_batch(n, shape)
        batch = replace(batch, x=batch.x.to(device), y=batch.y.to(device))
        there = replace(case, net=case.net.to(device), batch=batch)
        yield from _ratio(there, device, 3 if quick else 9)


def _ratio(case: Case, device: torch.device, rounds: int) -> Iterator[Finding]:
    attack = PGD(eps=case.eps, step_size=case.step_size, steps=case.steps)
    # with CUDA graphs, where the device has them
    replayed = Padded(case.net, recorder=recorder_on(device))

    def attacked(net: nn.Module) -> Tensor:
        rng = PerExample("pgd", case.batch.index, device)
        return attack.perturb(net, case.batch, rng).x_adv

    contestants: dict[str, Callable[[], object]] = {
        "PGD": lambda: attacked(case.net),
        "PGD replayed": lambda: attacked(replayed),
        "limit": lambda: bare(case.net, case),
    }
    rows = [[timed(run, device) for run in contestants.values()] for _ in range(rounds + 1)][1:]
    seconds = dict(zip(contestants, map(statistics.median, zip(*rows, strict=True)), strict=True))
    note = f"n {len(case.batch)}, {case.steps} steps"
    for name in ("PGD", "PGD replayed"):
        ratio = seconds[name] / seconds["limit"]
        images = len(case.batch) * case.steps / seconds[name]
        yield Finding("PGD", f"{case.name}: {name}, time over limit", ratio, note=note)
        yield Finding("PGD", f"{case.name}: {name}, image steps", images, "/s", note=note)
    same = torch.equal(attacked(case.net), attacked(replayed))
    yield equal("PGD", f"{case.name}: replayed images", same)
    limit = Limit()
    fit(limit, case.net, case.batch.x, card_on(device, share=1.0))
    if limit.most is not None:
        yield Finding("PGD", f"{case.name}: examples that fit", limit.most)


def ccat(device: torch.device, quick: bool) -> Iterator[Finding]:
    """An epoch of CCAT for CIFAR-10, on part of as many images, and what 200 would take."""
    n = 32 if quick else 5_000
    data = Fake(shape=(3, 32, 32), train=n).load("train").to(device)
    model = cast(Model, make("model", "resnet_ccat_narrow" if quick else "resnet_ccat", {}))
    for precision in ("float32",) if quick else ("float32", "bfloat16"):
        changes: dict[str, Any] = {"epochs": 1, "batch_size": 16 if quick else 100}
        given = make("defence", "ccat_cifar10", {}).model_copy(
            update={**changes, "precision": precision}
        )
        defence = cast(Defence, given.smoke() if quick else given)
        net = model.build((3, 32, 32), 10).to(device)
        seconds = timed(
            lambda d=defence, t=net: d.train(t, data, Stream("ccat"), Journal()), device
        )
        epoch = seconds * CIFAR_TRAINING / n
        note = f"from {n} images"
        yield Finding("CCAT", f"epoch, {precision}", epoch, "s", note=note)
        yield Finding(
            "CCAT", f"{EPOCHS} epochs, {precision}", EPOCHS * epoch / 3600, "h", note=note
        )


if __name__ == "__main__":
    sys.exit(main())
