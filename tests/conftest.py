"""A store with known outcomes, for everything that reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from invspec import cpu  # before torch, so that it can prepare MKL

# isort: split
import pytest
import torch
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from invspec.data import Finding
from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.scoring.rows import share
from invspec.spec import document, resolve
from invspec.tasks import Examine, Perturb, Score, Task, Train

assert cpu.ensure_prepared(), "torch was imported before invspec"
torch.set_num_threads(1)  # as tasks run; and xdist's processes share the cores


def pytest_configure() -> None:
    """Keep property tests from failing on a busy machine."""
    too_slow = [HealthCheck.too_slow]
    settings.register_profile("patient", deadline=None, suppress_health_check=too_slow)
    settings.load_profile("patient")


# where tests take seconds: these begin, so that no process is left with them at the end
LONG = (
    *("::test_smoke_tasks_run", "test_how_to.py", "test_batch_and_workers.py"),
    *("test_in_browser.py", "tests/execution/", "tests/cli/", "tests/pretend/"),
    "tests/website/test_pages_run.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what takes long first; xdist hands the files out in this order."""
    items.sort(key=lambda item: not any(part in item.nodeid for part in LONG))


class FilesAndSmokeRuns(LoadFileScheduling):
    """Gives each file to one process, but smoke runs of specs, which take long, one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if "::test_smoke_tasks_run" in nodeid else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndSmokeRuns:
    return FilesAndSmokeRuns(config, log)


@pytest.fixture(autouse=True)
def _data_folder_of_the_session() -> Iterator[None]:
    """The option --data stays set for the rest of a process, which tests share."""
    before = os.environ.get("INVSPEC_DATA")
    yield
    if before is None:
        os.environ.pop("INVSPEC_DATA", None)
    else:
        os.environ["INVSPEC_DATA"] = before


Outcomes = Callable[
    [Mapping[str, Any]], Any
]  # coordinates to outcomes (N,), rows, or None for a missing cell


class ToyStore:
    """Holds the scores of a plan's cells as a function of their coordinates, and all that is behind
    them.
    """

    def __init__(self, planned: Plan, outcomes: Outcomes) -> None:
        self.scores: dict[Task, Artifact] = {}
        self.findings: dict[Task, Finding] = {}
        self.behind: set[Task] = set()
        for cell in planned.cells:
            found = outcomes(cell.coords)
            if found is not None:
                self.scores[cell.goal] = self.artifact(found)
                self.behind |= {
                    cell.goal.train,
                    *(part for parts in cell.goal.of for part in parts),
                }

    @staticmethod
    def artifact(found: Any) -> Artifact:
        if isinstance(found, list):
            return Artifact({}, tuple(found))
        return Artifact({}, (share(torch.as_tensor(found), torch.arange(len(found))),))

    def __contains__(self, task: Task, /) -> bool:
        return task in self.scores or task in self.behind or task in self.findings

    def load(self, task: Task) -> Artifact:
        match task:
            case Score():
                return self.scores[task]
            case Perturb():
                passes = 40 if getattr(task.attack, "eps", 0) else 0
                counts = torch.full((4,), passes, dtype=torch.int64)
                return Artifact({"forwards": counts, "backwards": counts})
            case Train():
                return Artifact(
                    {}, curves={"loss": [2.0 + task.seed, 1.0, 0.5], "accuracy": [0.3, 0.6, 0.8]}
                )
            case Examine():
                return Artifact(finding=self.findings[task])

    def made(self, task: Task) -> dict[str, Any]:
        assert task in self
        seconds = {Train: 60.0, Perturb: 5.0, Score: 0.5, Examine: 2.0}[type(task)]
        bits = {"bits": "promised"} if isinstance(task, Perturb) else {}
        finished = "2026-01-02T03:04:05+00:00"
        return {
            **bits,
            "seconds": seconds,
            "device": "cpu",
            "torch": "2.14.1",
            "invspec": "0.1.0",
            "commit": "abc",
            "finished": finished,
        }


def planned_from(text: str, name: str = "toy.yaml") -> Plan:
    """The plan of a spec's text."""
    return planner.plan(resolve.resolve(document.parse(text, name)))


@pytest.fixture
def planned() -> Callable[[str], Plan]:
    return planned_from


@pytest.fixture
def toy_store() -> type[ToyStore]:
    return ToyStore
