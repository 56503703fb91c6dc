"""How long do planning, surveying and running take for large sweeps, beside the tasks themselves?

    python benchmarks/planning.py [--cells 10000 50000] [--chains 5000]

A spec is multiplied out to a number of cells; then its plan is checked and named, an empty store
is surveyed, and the tasks run on a pool whose workers finish at once and store nothing. With
--chains, the sweep's attacks start from one another, 50 in a row. Times are CPU seconds of this
process, the last one also in wall time; memory is its peak, so far.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from invspec.execution.events import Done, PoolEvent
from invspec.execution.execute import execute
from invspec.execution.store import Store
from invspec.plan import planner, validation
from invspec.plan.cells import Plan
from invspec.spec import document, resolve
from invspec.tasks import Task


def main() -> None:
    options = arguments()
    for cells in options.cells:
        measure(f"{cells:,} cells", spec(cells // 20, 20, chained=False))
    for cells in options.chains:
        measure(f"{cells:,} cells in chains of 50", spec(cells // 50, 50, chained=True))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cells", type=int, nargs="*", default=[10_000, 50_000])
    parser.add_argument("--chains", type=int, nargs="*", default=[5_000])
    return parser.parse_args()


def spec(trainings: int, radii: int, chained: bool) -> dict[str, Any]:
    """A spec of trainings x radii cells, each an attack, or one of a chain, and its score."""
    sweep = [round(0.001 * (step + 1), 6) for step in range(radii)]
    seeds = 10
    rates = [round(0.0001 * (step + 1), 6) for step in range(trainings // seeds)]
    pgd = {"eps": {"sweep": sweep}, "steps": 2, **({} if chained else {"independent": True})}
    return {
        "title": "planning",
        "seeds": list(range(seeds)),
        "datasets": {"digits": {}},
        "models": {"linear": {}},
        "defences": {"standard": {"epochs": 1, "lr": {"sweep": rates}}},
        "attacks": {"pgd": {**pgd, "sample": {"limit": 10}}},
        "measures": {"robustness": {"use": "rate_of_invariance", "of": "pgd"}},
        "train": [{"dataset": "digits", "model": "linear", "defence": "standard"}],
    }


class InstantPool:
    """One worker that finishes every task at once and stores nothing."""

    def __init__(self) -> None:
        self.task: Task | None = None

    def open(self, root: Path, tasks: int) -> InstantPool:
        return self

    def idle(self) -> str | None:
        return "instant" if self.task is None else None

    def spare(self) -> str | None:
        return None

    def give(self, worker: str, task: Task) -> None:
        self.task = task

    def events(self) -> Sequence[PoolEvent]:
        task, self.task = self.task, None
        return [] if task is None else [Done(task, 0.0)]

    def close(self) -> None:
        pass


def measure(name: str, content: dict[str, Any]) -> None:
    clock = Clock()
    source = document.parse(yaml.safe_dump(content, sort_keys=False), "planning.yaml")
    plan = planner.plan(resolve.resolve(source))
    validation.check(plan)
    clock.stop("plan and checks")
    tasks, names = len(plan.tasks), len(plan.names)
    assert tasks == names, f"{tasks} tasks, {names} names"
    clock.stop("tasks and names")
    with tempfile.TemporaryDirectory() as folder:
        events = run(plan, Store(Path(folder)))
        next(events)
        clock.stop("survey")
        for _ in events:
            pass
        clock.stop("run")
    print(f"{name}, {tasks:,} tasks: {clock.summary()}", flush=True)


def run(plan: Plan, store: Store) -> Any:
    return execute([cell.goal for cell in plan.cells], store, InstantPool())


class Clock:
    """CPU seconds between stops."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last, self._began = time.process_time(), time.monotonic()

    def stop(self, step: str) -> None:
        now = time.process_time()
        self.times[step], self._last = now - self._last, now

    def summary(self) -> str:
        """The time of each step and of all, and the peak of memory."""
        steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in self.times.items())
        total, wall = sum(self.times.values()), time.monotonic() - self._began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return f"{steps}; in all {total:.1f} s ({wall:.1f} s of wall time), peak {peak:,.0f} MB"


if __name__ == "__main__":
    main()
