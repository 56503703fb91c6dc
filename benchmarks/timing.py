"""Timing contestants on two nets against a bare loop; shared by attacks.py and nspgd.py."""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from subjects import frozen, resnet18
from torch import nn

from invspec.data import Batch
from invspec.models.lenet import LeNet

CONSOLE = Console()
# seconds of each contestant, one a round
Times = dict[str, list[float]]
# the text of a requirement, and whether it holds
Requirement = tuple[str, bool]


@dataclass(frozen=True)
class Case:
    """A net, images in [0, 1] and the PGD setting to time on them."""

    name: str
    net: nn.Module
    batch: Batch
    eps: float
    step_size: float
    steps: int


def lenet_case(quick: bool) -> Case:
    net = frozen(LeNet().build((1, 28, 28), 10))
    batch, steps = random_batch(16 if quick else 128, (1, 28, 28)), 5 if quick else 40
    return Case("LeNet, MNIST", net, batch, 0.3, 0.01, steps)


def resnet_case(quick: bool) -> Case:
    batch, steps = random_batch(4 if quick else 64, (3, 32, 32)), 2 if quick else 10
    return Case("ResNet-18, CIFAR-10", frozen(resnet18()), batch, 8 / 255, 2 / 255, steps)


def random_batch(n: int, shape: tuple[int, int, int]) -> Batch:
    return Batch(torch.rand(n, *shape), torch.randint(10, (n,)), torch.arange(n))


def bare(net: nn.Module, case: Case) -> None:
    """The limit: the gradients of a PGD run, without its updates."""
    for _ in range(case.steps):
        leaf = case.batch.x.detach().requires_grad_()
        torch.autograd.grad(F.cross_entropy(net(leaf), case.batch.y, reduction="sum"), leaf)


def timed(case: Case, runs: dict[str, Callable[[Case], object]], rounds: int) -> Times:
    """Seconds of every contestant in every round; the order rotates by one each round."""
    for run in runs.values():
        # choose kernels and allocate memory before the clock starts
        run(replace(case, steps=1))
    times: Times = {name: [] for name in runs}
    names = list(runs)
    for first in track(range(rounds), case.name, transient=True):
        for name in names[first % len(names) :] + names[: first % len(names)]:
            start = time.perf_counter()
            runs[name](case)
            times[name].append(time.perf_counter() - start)
    return times


def ratios(times: Times, name: str, reference: str) -> list[float]:
    """Time of one contestant over that of another, for every round."""
    return [seconds / base for seconds, base in zip(times[name], times[reference], strict=True)]


def spread(values: list[float], digits: int) -> str:
    """Median ± half the interquartile range, as text."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ± {(high - low) / 2:.{digits}f}"


def machine() -> str:
    """The processor and its features that affect these numbers."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = (line.partition(":") for line in lines)
    cpu = {key.strip(): value.strip() for key, _, value in fields}
    flags = set(cpu.get("flags", "").split())
    bfloat16 = ", ".join(
        f"{flag} {'yes' if flag in flags else 'no'}" for flag in ("avx512_bf16", "amx_bf16")
    )
    return (
        f"{cpu.get('model name', platform.processor())}; torch {torch.__version__}, "
        f"kernels for {torch.backends.cpu.get_cpu_capability()}, {bfloat16}, "
        f"{torch.get_num_threads()} thread(s)"
    )


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark of times."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small batches and few steps, to check that it runs"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=9,
        help="runs of each contestant (at least 7 for a report)",
    )
    return parser


def timed_cases(
    options: argparse.Namespace,
    contestants: Callable[[Case], dict[str, Callable[[Case], object]]],
    threads: int = 1,
) -> Iterator[tuple[Case, Times]]:
    """Describe the machine, then time the contestants on each net."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    CONSOLE.print(machine())
    for case in (lenet_case(options.quick), resnet_case(options.quick)):
        yield case, timed(case, contestants(case), 3 if options.quick else options.rounds)


def exit_code(held: list[Requirement], options: argparse.Namespace) -> int:
    """Print the requirements; 1 if one is missed, unless the run was too quick to tell."""
    for text, holds in held:
        CONSOLE.print(f"{'held  ' if holds else 'missed'}  {text}")
    return 0 if options.quick or all(holds for _, holds in held) else 1
