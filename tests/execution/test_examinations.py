"""Examinations in a run: they come last, and neither hold back nor fail anything else."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from workbench import planned, registered, tiny

from invspec.execution.events import Done, Event, Failed, Skipped, Started
from invspec.execution.execute import execute
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.store import Store, unneeded
from invspec.plan.cells import Plan
from invspec.tasks import Examine, Perturb, Score

STATED = {"stated": {"status": "fails"}}


@pytest.fixture(autouse=True)
def _toys() -> Generator[None]:
    with registered():
        yield


def ran(plan: Plan, folder: Path) -> list[Event]:
    return list(execute(plan.goals, Store(folder), LocalExecutor(("cpu",))))


def spec(checks: Any = STATED, **changes: Any) -> Plan:
    return planned(tiny(checks=checks, **changes))


def test_a_run_examines_after_it_has_scored(tmp_path: Path) -> None:
    plan = spec()
    started = [type(event.task) for event in ran(plan, tmp_path) if isinstance(event, Started)]
    assert started[-1] is Examine
    assert Score in started
    (examination,) = plan.examinations
    finding = Store(tmp_path).load(examination.goal).finding
    assert finding is not None
    assert (finding.status, finding.measured.n) == ("fails", 20)


def test_a_finding_is_made_once(tmp_path: Path) -> None:
    ran(spec(), tmp_path)
    assert [event for event in ran(spec(), tmp_path) if isinstance(event, Started)] == []
    assert Store(tmp_path).made(spec().examinations[0].goal)["seconds"] >= 0


def test_a_check_with_another_field_is_made_again(tmp_path: Path) -> None:
    ran(spec(), tmp_path)
    events = ran(spec({"stated": {"images": 3}}), tmp_path)
    assert [type(event.task) for event in events if isinstance(event, Started)] == [Examine]


def test_a_check_that_crashes_fails_alone(tmp_path: Path) -> None:
    events = ran(spec(["crashes", "stated"]), tmp_path)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert isinstance(failed.task, Examine)
    assert failed.message.startswith("ValueError: toy trouble")
    assert {type(event.task) for event in events if isinstance(event, Done)} >= {Score, Examine}


def test_an_attack_that_fails_skips_its_examinations(tmp_path: Path) -> None:
    events = ran(spec(attacks={"shift": {"use": "breaks"}}), tmp_path)
    assert [type(event.task) for event in events if isinstance(event, Failed)] == [Perturb]
    skipped = {type(event.task) for event in events if isinstance(event, Skipped)}
    assert skipped == {Score, Examine}


def test_garbage_collection_keeps_the_findings_of_a_spec(tmp_path: Path) -> None:
    plan = spec()
    ran(plan, tmp_path)
    store = Store(tmp_path)
    assert unneeded(store, plan.tasks) == []
    assert [folder.parents[1].name for folder in unneeded(store, spec("none").tasks)] == ["examine"]
