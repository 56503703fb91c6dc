"""How long do `report` and `plan` take on a store with many results?

    python benchmarks/reporting.py [--cells 10000] [--store FOLDER]

A store is filled with small results of a sweep (a folder that exists is used as it is). Then the
report is made in each format, and the time of the same sweep with other learning rates is estimated
from the store. Times are CPU seconds of this process, the last one also in wall time; memory is
its peak, so far.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from planning import Clock, spec
from rich.console import Console

from invspec.analysis.forecast import forecast
from invspec.analysis.snapshot import Snapshot
from invspec.data import Finding, Interval
from invspec.execution import disk
from invspec.execution.store import Store
from invspec.execution.survey import Survey
from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.report import contents, export, text
from invspec.report.pages import render
from invspec.scoring.rows import share
from invspec.spec import document, resolve
from invspec.tasks import Examine, Perturb, Task, Train

EXAMPLES = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    content = spec(options.cells // 20, 20, chained=False)
    with tempfile.TemporaryDirectory() as folder:
        root: Path = options.store or Path(folder) / "store"
        if not root.exists():
            fill(Store(root), planned(content))
        print(f"{options.cells:,} cells: {report(content, root, Path(folder))}", flush=True)
        print(f"{options.cells:,} other cells: {estimate(content, root)}")


def planned(content: dict[str, Any]) -> Plan:
    source = document.parse(yaml.safe_dump(content, sort_keys=False), "planning.yaml")
    return planner.plan(resolve.resolve(source))


def fill(store: Store, plan: Plan) -> None:
    # a benchmark may lose its store
    disk.flush = lambda path: None
    disk.flush_all = lambda paths: None
    store.prepare()
    facts = {"device": "cpu", "finished": "2026-01-01T00:00:00+00:00", "bits": "promised"}
    for number, task in enumerate(plan.tasks):
        store.save(task, artifact(task, number), seconds=0.1, **facts)


def artifact(task: Task, number: int) -> Artifact:
    """A small result, which differs from task to task."""
    match task:
        case Train():
            return Artifact({"w": torch.zeros(3)}, curves={"loss": [1.0, 0.5]})
        case Perturb():
            passes = {name: torch.full((EXAMPLES,), 2) for name in ("forwards", "backwards")}
            return Artifact({"index": torch.arange(EXAMPLES), **passes})
        case Examine():
            return Artifact(finding=Finding("passes", Interval(0.0, 0.0, 0.1, EXAMPLES), 0.5))
        case _:
            index = torch.arange(EXAMPLES)
            return Artifact({}, (share(index < number % (EXAMPLES + 1), index),))


def report(content: dict[str, Any], root: Path, folder: Path) -> str:
    clock = Clock()
    plan, store = planned(content), Snapshot(Store(root))
    clock.stop("plan")
    made = contents.report(plan, store)
    assert made.missing == 0, f"{root} lacks {made.missing} results: expected a store of this sweep"
    clock.stop("report")
    text.show(made, Console(file=io.StringIO(), highlight=False))
    clock.stop("text")
    render.write(made, folder / "page")
    clock.stop("page with figures")
    export.json_text(made, store)
    clock.stop("json")
    return clock.summary()


def estimate(content: dict[str, Any], root: Path) -> str:
    """The time of the same sweep with other learning rates."""
    lr = content["defences"]["standard"]["lr"]
    lr["sweep"] = [rate + 1 for rate in lr["sweep"]]
    clock, store = Clock(), Store(root)
    plan = planned(content)
    clock.stop("plan")
    survey = Survey(store)
    for cell in plan.cells:
        survey.visit(cell.goal)
    clock.stop("survey")
    expected = forecast(survey.to_do, [task for task in plan.tasks if task in store], store)
    assert expected.estimate(survey.to_do, "cpu").unlike == 0
    clock.stop("estimate")
    return clock.summary()


if __name__ == "__main__":
    main()
