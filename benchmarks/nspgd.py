"""How much slower is NSPGD than one forward and one backward pass per step, and how slow is LPIPS?

    uv run --group bench python benchmarks/nspgd.py [--quick]

The limit is the bare loop of benchmarks/timing.py. NSPGD runs with max_drop 1, so that no example
stops and both make the same passes. LPIPS, which judges the final images once, is timed too if its
weights are available.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from rich.table import Table
from subjects import has_data
from timing import (
    CONSOLE,
    Case,
    Requirement,
    Times,
    arguments,
    bare,
    exit_code,
    ratios,
    spread,
    timed_cases,
)

from invspec.attacks.nspgd import NSPGD
from invspec.ops.draws import PerExample
from invspec.perceptual.distances import distance

LIMIT, UNIT, FRACTION, LPIPS = "limit", "nspgd, unit", "nspgd, fraction", "LPIPS (AlexNet)"
# multiple of the limit that NSPGD may take
ALLOWED = 1.1


def walk(case: Case, attack: NSPGD) -> None:
    batch = replace(case.batch, x_target=case.batch.x.flip(0))
    attack.perturb(case.net, batch, PerExample("benchmark", batch.index))


def judge(case: Case) -> None:
    with torch.no_grad():
        distance("lpips_alex", case.net)(case.batch.x, case.batch.x.flip(0))


def contestants(case: Case) -> dict[str, Callable[[Case], object]]:
    runs: dict[str, Callable[[Case], object]] = {
        LIMIT: lambda case: bare(case.net, case),
        UNIT: lambda case: walk(case, NSPGD(steps=case.steps, max_drop=1)),
        FRACTION: lambda case: walk(
            case, NSPGD(steps=case.steps, max_drop=1, step_mode="fraction")
        ),
    }
    return runs | ({LPIPS: judge} if has_data() else {})


def table(case: Case, times: Times) -> Table:
    title = (
        f"{case.name}: {len(case.batch)} pairs, {case.steps} steps; "
        f"median of {len(times[LIMIT])} rounds ± spread"
    )
    result = Table("", "ms", "x the limit", title=title, title_justify="left")
    for name in times:
        result.add_row(
            name,
            spread([1000 * value for value in times[name]], 1),
            spread(ratios(times, name, LIMIT), 3),
        )
    return result


def main() -> int:
    options, held = arguments(__doc__).parse_args(), list[Requirement]()
    for case, times in timed_cases(options, contestants):
        CONSOLE.print(table(case, times))
        for name in (UNIT, FRACTION):
            ratio = statistics.median(ratios(times, name, LIMIT))
            text = f"{case.name}: {name}, at most {ALLOWED} x the limit: {ratio:.3f}"
            held.append((text, ratio <= ALLOWED))
    return exit_code(held, options)


if __name__ == "__main__":
    raise SystemExit(main())
