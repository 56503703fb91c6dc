"""How fast is linf PGD, compared with torchattacks, foolbox and the limit?

    INVSPEC_DATA=.data uv run --group bench python benchmarks/attacks.py [--quick]

The limit is a bare loop of one forward and one backward pass to the input per step, on weights that
need no gradient: no gradient attack needs less. All contestants run interleaved in one process, and
ratios are taken within a round, so that a temporary slowdown of the machine affects both sides.
With INVSPEC_DATA, the script also checks that a bfloat16 search is as strong as a float32 search.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import foolbox
import torch
import torch.nn.functional as F
import torchattacks
from foolbox.models.pytorch import PyTorchModel
from rich.console import Console
from rich.progress import track
from rich.table import Table
from subjects import ADVERSARIAL, frozen, has_data, mnist_test, published, resnet18, robust_accuracy
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.models.lenet import LeNet
from invspec.ops.draws import PerExample
from invspec.perform.proxies import Bfloat16

LIMIT, LIMIT_LOW, OURS, OURS_LOW = "limit", "limit, bfloat16", "invspec", "invspec, bfloat16"
# multiple of the limit that PGD may take
ALLOWED = 1.06
Times = dict[str, list[float]]


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


def invspec_pgd(net: nn.Module, case: Case) -> Tensor:
    attack = PGD(eps=case.eps, steps=case.steps, step_size=case.step_size)
    return attack.perturb(net, case.batch, PerExample("benchmark", case.batch.index)).x_adv


def torchattacks_pgd(case: Case) -> None:
    torchattacks.PGD(case.net, eps=case.eps, alpha=case.step_size, steps=case.steps)(
        case.batch.x, case.batch.y
    )


def foolbox_pgd(case: Case) -> None:
    attack: Any = foolbox.attacks.LinfPGD(
        abs_stepsize=case.step_size, steps=case.steps, random_start=True
    )
    attack.run(PyTorchModel(case.net, bounds=(0, 1)), case.batch.x, case.batch.y, epsilon=case.eps)


def contestants(case: Case) -> dict[str, Callable[[Case], object]]:
    low = Bfloat16(case.net)
    return {
        LIMIT: lambda case: bare(case.net, case),
        OURS: lambda case: invspec_pgd(case.net, case),
        "torchattacks": torchattacks_pgd,
        "foolbox": foolbox_pgd,
        LIMIT_LOW: lambda case: bare(low, case),
        OURS_LOW: lambda case: invspec_pgd(low, case),
    }


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


def table(case: Case, times: Times) -> Table:
    title = (
        f"{case.name}: batch {len(case.batch)}, {case.steps} steps; "
        f"median of {len(times[LIMIT])} rounds ± spread"
    )
    result = Table(
        "contestant", "ms", "x its limit", "x the float32 limit", title=title, title_justify="left"
    )
    for name in times:
        own = LIMIT_LOW if name in (LIMIT_LOW, OURS_LOW) else LIMIT
        to_own, to_full = ratios(times, name, own), ratios(times, name, LIMIT)
        result.add_row(
            name,
            spread([1000 * value for value in times[name]], 1),
            spread(to_own, 3),
            spread(to_full, 3),
        )
    return result


def verdicts(times: Times) -> list[tuple[str, bool]]:
    """Each requirement on the time of PGD, and whether it holds."""
    to_limit = statistics.median(ratios(times, OURS, LIMIT))
    held = [(f"at most {ALLOWED} x the limit: {to_limit:.3f}", to_limit <= ALLOWED)]
    for peer in ("torchattacks", "foolbox"):
        low, middle, _ = statistics.quantiles(ratios(times, OURS, peer), n=4, method="inclusive")
        held.append(
            (f"not slower than {peer} beyond the spread: {middle:.3f} x its time", low <= 1)
        )
    return held


def low_precision_verdict(n: int) -> tuple[str, bool]:
    """Whether PGD in bfloat16 is as strong as in float32, judged in float32 on a robust net."""
    net, batch = published(ADVERSARIAL), mnist_test(n)
    case = Case("", net, batch, 0.3, 0.01, 40)
    full, low = (
        robust_accuracy(net, invspec_pgd(attacked, case), batch.y)
        for attacked in (net, Bfloat16(net))
    )
    text = (
        f"robust accuracy on {n} images, judged in float32: "
        f"float32 search {full:.4f}, bfloat16 search {low:.4f}"
    )
    return text, round(abs(full - low) * n) <= 1


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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
    parser.add_argument(
        "--threads", type=int, default=1, help="torch threads; invspec runs CPU tasks with one"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    # the peers raise warnings of their own
    warnings.simplefilter("ignore")
    console, held = Console(), []
    console.print(machine())
    for case in (lenet_case(options.quick), resnet_case(options.quick)):
        times = timed(case, contestants(case), 3 if options.quick else options.rounds)
        console.print(table(case, times))
        held += [(f"{case.name}: {text}", holds) for text, holds in verdicts(times)]
    if has_data():
        held.append(low_precision_verdict(64 if options.quick else 512))
    for text, holds in held:
        console.print(f"{'held  ' if holds else 'missed'}  {text}")
    return 0 if options.quick or all(holds for _, holds in held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
