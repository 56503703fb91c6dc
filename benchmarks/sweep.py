"""How long does a robustness profile take if its radii share their work, and is it the same?

    INVSPEC_DATA=.data uv run python benchmarks/sweep.py

Trains LeNet on MNIST with and without PGD, then attacks both nets at eleven eps in two ways: each
eps separately, and in ascending order on the examples that survived the previous eps. The two ways
alternate at each eps, in one process on one thread.
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
from invspec.memory import Limits
from invspec.perform import dispatch
from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.plan.cells import Cell
from invspec.spec import document, resolve
from invspec.tasks import Perturb, Task, Train

SPEC = """
title: a profile of eleven eps, separate and shared
datasets: {mnist: {}}
models: {lenet: {}}
defences:
  standard: {epochs: 1, examples: 20000, optimiser: adam, lr: 1e-3}
  madry: {use: madry_mnist, epochs: 2, examples: 20000, batch_size: 100, lr: 1e-3,
          schedule: one_cycle, ramp: 0.5, clean_fraction: 0.25,
          attack: {use: pgd, eps: 0.2, steps: 3, relative_step_size: 0.6}}
attacks:
  shared: {use: pgd, steps: 40, relative_step_size: 0.1, sample: {limit: EXAMPLES},
           eps: {sweep: [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]}}
  separate: {use: pgd, steps: 40, relative_step_size: 0.1, sample: {limit: EXAMPLES},
             independent: true,
             eps: {sweep: [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]}}
measures:
  shared: {use: rate_of_invariance, of: shared}
  separate: {use: rate_of_invariance, of: separate}
train: [{dataset: mnist, model: lenet, defence: [standard, madry]}]
"""


@dataclass(eq=False)
class Runtime:
    """A runtime that keeps artifacts in memory and records the seconds of each task."""

    batch_size: int = 250
    limits: Limits = field(default_factory=Limits)
    artifacts: dict[Task, Artifact] = field(default_factory=dict[Task, Artifact])
    seconds: dict[Task, float] = field(default_factory=dict[Task, float])

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def load(self, task: Task) -> Artifact:
        if task not in self.artifacts:
            for need in tasks.needs(task):
                self.load(need)
            start = time.perf_counter()
            self.artifacts[task] = dispatch.perform(task, self)
            self.seconds[task] = time.perf_counter() - start
        return self.artifacts[task]

    def journal(self, task: Train) -> Journal:
        return Journal()

    def warn(self, message: str) -> None:
        raise AssertionError(message)

    def progress(self, done: int, total: int) -> None:
        pass


@dataclass(frozen=True)
class Point:
    """A point of a profile: the rate of invariance and the seconds that its attack took."""

    rate: float
    seconds: float


def measure(runtime: Runtime, cell: Cell) -> Point:
    rows = runtime.load(cell.goal).rows
    assert rows, "a score without rows"
    attacks = [task for task in tasks.needs(cell.goal) if isinstance(task, Perturb)]
    (interval,) = intervals(rows)
    return Point(interval.value, sum(runtime.seconds[task] for task in attacks))


def profiles(runtime: Runtime, cells: list[Cell]) -> dict[str, dict[float, Point]]:
    """Both profiles of one net by eps, measured in turns at each eps."""
    points: dict[str, dict[float, Point]] = {"shared": {}, "separate": {}}
    for cell in sorted(cells, key=_eps):
        points[str(cell.coords["measure"])][_eps(cell)] = measure(runtime, cell)
    return points


def _eps(cell: Cell) -> float:
    return float(cell.coords[f"{cell.coords['attack']}.eps"])


def table_of(title: str, points: dict[str, dict[float, Point]]) -> Table:
    table = Table("eps", "separate", "shared", "separate, s", "shared, s", title=title)
    for eps, separate in points["separate"].items():
        shared = points["shared"][eps]
        table.add_row(
            f"{eps:g}",
            f"{separate.rate:.3f}",
            f"{shared.rate:.3f}",
            f"{separate.seconds:.1f}",
            f"{shared.seconds:.1f}",
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
    planned = planner.plan(resolve.resolve(document.parse(text, "sweep.yaml")))
    runtime, console = Runtime(), Console()
    higher = 0
    for defence in ("standard", "madry"):
        cells = [cell for cell in planned.cells if cell.coords["defence"] == defence]
        points = profiles(runtime, cells)
        console.print(table_of(f"LeNet, {defence}: rate of invariance under PGD", points))
        seconds = {
            name: sum(point.seconds for point in profile.values())
            for name, profile in points.items()
        }
        ratio = seconds["shared"] / seconds["separate"]
        rise = max(
            points["shared"][eps].rate - separate.rate
            for eps, separate in points["separate"].items()
        )
        console.print(
            f"the shared profile takes {ratio:.2f} x the time of the separate one; "
            f"it is higher by at most {rise:.3f}\n"
        )
        higher += rise > 0
    return 1 if higher else 0


if __name__ == "__main__":
    raise SystemExit(main())
