"""What does NSPGD cost beyond one forward and one backward pass a step, and what does its distance?

    uv run --group runtime python benchmarks/nspgd.py [--quick]

The limit is the bare loop of benchmarks/attacks.py. NSPGD runs with a confidence slack of 1, so that nobody halts and
both do the same passes. LPIPS, which judges the result once, is timed beside them where its weights are at hand.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from attacks import Case, Times, bare, lenet_case, machine, ratios, resnet_case, shown, timed
from rich.console import Console
from rich.table import Table
from subjects import has_data

from invspec.attacks.nspgd import NSPGD
from invspec.ops.draws import PerExample
from invspec.perceptual.distances import distance

LIMIT, UNIT, FRACTION, LPIPS = "limit", "nspgd, unit", "nspgd, fraction", "LPIPS (AlexNet)"
ALLOWED = 1.1  # times the limit


def walk(case: Case, attack: NSPGD) -> None:
    batch = replace(case.batch, x_target=case.batch.x.flip(0))
    attack.perturb(case.net, batch, PerExample("benchmark", batch.index))


def judge(case: Case) -> None:
    with torch.no_grad():
        distance("lpips_alex", case.net)(case.batch.x, case.batch.x.flip(0))


def contestants() -> dict[str, Callable[[Case], object]]:
    found: dict[str, Callable[[Case], object]] = {
        LIMIT: lambda case: bare(case.net, case),
        UNIT: lambda case: walk(case, NSPGD(steps=case.steps, max_drop=1)),
        FRACTION: lambda case: walk(
            case, NSPGD(steps=case.steps, max_drop=1, step_mode="fraction")
        ),
    }
    return found | ({LPIPS: judge} if has_data() else {})


def table(case: Case, times: Times) -> Table:
    title = f"{case.name}: {len(case.batch)} pairs, {case.steps} steps; median of {len(times[LIMIT])} rounds ± spread"
    result = Table("", "ms", "x the limit", title=title, title_justify="left")
    for name in times:
        result.add_row(
            name,
            shown([1000 * value for value in times[name]], 1),
            shown(ratios(times, name, LIMIT), 3),
        )
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small batches and few steps: does it run at all?"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=9,
        help="how often each contestant runs (at least 7 to report)",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    console, held = Console(), []
    console.print(machine())
    for case in (lenet_case(options.quick), resnet_case(options.quick)):
        times = timed(case, contestants(), 3 if options.quick else options.rounds)
        console.print(table(case, times))
        for name in (UNIT, FRACTION):
            ratio = statistics.median(ratios(times, name, LIMIT))
            held.append(
                (
                    f"{case.name}: {name}, at most {ALLOWED} x the limit: {ratio:.3f}",
                    ratio <= ALLOWED,
                )
            )
    for text, good in held:
        console.print(f"{'held  ' if good else 'missed'}  {text}")
    return 0 if options.quick or all(good for _, good in held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
