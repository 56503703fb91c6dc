"""What does a robustness profile cost when its radii share their work, and is it the same profile?

    INVSPEC_DATA=.data uv run python benchmarks/sweep.py

Trains LeNet on MNIST with and without PGD, then attacks both at eleven radii twice: each radius by itself, and upwards
on the survivors of the radius before. The two kinds of run alternate radius by radius, in one process, on one thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field

import torch
from rich.console import Console
from rich.table import Table
from subjects import has_data

from invspec import tasks
from invspec.analysis.intervals import intervals
from invspec.data import Journal
from invspec.perform import dispatch
from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.plan.cells import Cell
from invspec.spec import document, resolve
from invspec.tasks import Perturb, Task, Train

SPEC = """
title: a profile of eleven radii, each by itself and shared
datasets: {mnist: {}}
models: {lenet: {}}
defences:
  standard: {epochs: 1, examples: 20000, optimiser: adam, lr: 1e-3}
  madry: {use: madry_mnist, epochs: 2, examples: 20000, batch_size: 100, lr: 1e-3, schedule: one_cycle, ramp: 0.5,
          clean_fraction: 0.25, attack: {use: pgd, eps: 0.2, steps: 3, relative_step_size: 0.6}}
attacks:
  shared: {use: pgd, steps: 40, relative_step_size: 0.1, sample: {limit: EXAMPLES},
                eps: {sweep: [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]}}
  separate: {use: pgd, steps: 40, relative_step_size: 0.1, sample: {limit: EXAMPLES}, independent: true,
             eps: {sweep: [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]}}
measures:
  shared: {use: rate_of_invariance, of: shared}
  separate: {use: rate_of_invariance, of: separate}
train: [{dataset: mnist, model: lenet, defence: [standard, madry]}]
"""


@dataclass(eq=False)
class Runtime:
    """tasks.Runtime in memory, with the seconds that each task took."""

    batch_size: int = 250
    kept: dict[Task, Artifact] = field(default_factory=dict[Task, Artifact])
    seconds: dict[Task, float] = field(default_factory=dict[Task, float])

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def load(self, task: Task) -> Artifact:
        if task not in self.kept:
            for need in tasks.needs(task):
                self.load(need)
            began = time.perf_counter()
            self.kept[task] = dispatch.perform(task, self)
            self.seconds[task] = time.perf_counter() - began
        return self.kept[task]

    def journal(self, task: Train) -> Journal:
        return Journal()

    def progress(self, done: int, total: int) -> None:
        pass


@dataclass(frozen=True)
class Radius:
    """One place of the profile: the share of labels that stay, and the seconds that it took."""

    share: float
    seconds: float


def measured(runtime: Runtime, cell: Cell) -> Radius:
    rows = runtime.load(cell.goal).rows
    assert rows, "a score without rows"
    attacks = [task for task in tasks.needs(cell.goal) if isinstance(task, Perturb)]
    (interval,) = intervals(rows)
    return Radius(interval.value, sum(runtime.seconds[task] for task in attacks))


def profiles(runtime: Runtime, cells: list[Cell]) -> dict[str, dict[float, Radius]]:
    """Both profiles of one net; at every radius first the one, then the other."""
    found: dict[str, dict[float, Radius]] = {"shared": {}, "separate": {}}
    for cell in sorted(cells, key=_radius):
        found[str(cell.coords["measure"])][_radius(cell)] = measured(runtime, cell)
    return found


def _radius(cell: Cell) -> float:
    return float(cell.coords[f"{cell.coords['attack']}.eps"])


def shown(title: str, found: dict[str, dict[float, Radius]]) -> Table:
    table = Table("eps", "separate", "shared", "separate, s", "shared, s", title=title)
    for eps, apart in found["separate"].items():
        both = found["shared"][eps]
        table.add_row(
            f"{eps:g}",
            f"{apart.share:.3f}",
            f"{both.share:.3f}",
            f"{apart.seconds:.1f}",
            f"{both.seconds:.1f}",
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=500)
    options = parser.parse_args()
    if not has_data():
        parser.error("INVSPEC_DATA must name a folder with MNIST")
    torch.set_num_threads(1)
    text = SPEC.replace("EXAMPLES", str(options.examples))
    planned, runtime, console = (
        planner.plan(resolve.resolve(document.parse(text, "sweep.yaml"))),
        Runtime(),
        Console(),
    )
    higher = 0
    for defence in ("standard", "madry"):
        found = profiles(
            runtime, [cell for cell in planned.cells if cell.coords["defence"] == defence]
        )
        console.print(shown(f"LeNet, {defence}: rate of invariance under PGD", found))
        seconds = {
            name: sum(radius.seconds for radius in of.values()) for name, of in found.items()
        }
        ratio = seconds["shared"] / seconds["separate"]
        rise = max(
            found["shared"][eps].share - apart.share for eps, apart in found["separate"].items()
        )
        console.print(
            f"shared takes {ratio:.2f} x the time of separate runs; it is higher by at most {rise:.3f}\n"
        )
        higher += rise > 0
    return 1 if higher else 0


if __name__ == "__main__":
    raise SystemExit(main())
