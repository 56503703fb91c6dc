"""Every shipped spec is valid, keeps its keys when dumped, and runs with --smoke."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from smoke_specs import SPECS
from workbench import call

from invspec.analysis import readings
from invspec.cli import session
from invspec.execution import disk
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.worker import perform
from invspec.kinds import Measure
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.plan.products import is_worst_case, trains_generators
from invspec.registry.cards import PARTS
from invspec.spec import document, extend, overlay, resolve
from invspec.spec.resolved import Spec
from invspec.tasks import key

SCALES = [(path, scale) for path in SPECS for scale in extend.read(path).values.get("scales", {})]
every_spec = pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)


@cache
def plan_of(path: Path) -> Plan:
    return planner.plan(overlay.load(path))


def keys(planned: Plan) -> list[str]:
    return [key(task) for task in planned.tasks]


def check(planned: Plan) -> None:
    """Raise what `validate` refuses; without data as a smoke run, which reads no weights."""
    has_data = bool(os.environ.get("INVSPEC_DATA"))
    session.check(planned if has_data else planner.plan(planned.spec.smoke()))


def test_specs_ship() -> None:
    assert "quickstart" in {path.stem for path in SPECS}


@pytest.mark.slow  # .ci/run validates the files themselves
@every_spec
def test_spec_is_valid(path: Path) -> None:
    check(plan_of(path))
    assert plan_of(path).cells


@pytest.mark.parametrize(
    ("path", "scale"), SCALES, ids=[f"{path.stem}-{scale}" for path, scale in SCALES]
)
def test_every_scale_is_valid(path: Path, scale: str) -> None:
    planned = planner.plan(overlay.load(path, scale))
    check(planned)
    assert planned.spec.name == f"{path.stem}-{scale}"


@every_spec
def test_there_is_a_scale_for_one_gpu_or_no_need_of_one(path: Path) -> None:
    has_scale = "h100" in extend.read(path).values.get("scales", {})
    says_why_not = re.search(r"needs? no GPU", path.read_text("utf-8")) is not None
    assert has_scale != says_why_not


def test_every_shared_entry_is_used() -> None:
    used = {
        (part, label)
        for path in SPECS
        for part, entries in overlay.load(path).entries.items()
        for label in entries
    }
    for path in (SPECS[0].parent / "shared").glob("*.yaml"):
        values = extend.read(path).values
        shared = {(part, label) for part in PARTS for label in values.get(part, ())}
        assert shared <= used, path


@every_spec
def test_keys_survive_a_dump(path: Path) -> None:
    values = extend.read(path).values
    flow, block = (
        document.parse(yaml.safe_dump(values, sort_keys=True, default_flow_style=style), str(path))
        for style in (True, False)
    )
    assert flow.values == block.values == values
    assert sorted(keys(planner.plan(resolve.resolve(block)))) == sorted(keys(plan_of(path)))


def size(full: Spec, part: str, labels: Any) -> int:
    """Number of methods that these labels of a part stand for, counted from the spec's text."""
    entries = full.source.values[part]
    return sum(math.prod(sweeps(entries[label])) for label in listed(labels))


def listed(labels: Any) -> list[str]:
    """The labels as a list; a single label stands for a list of one."""
    return [labels] if isinstance(labels, str) else list(labels)


def sweeps(value: Any) -> list[int]:
    """The lengths of all sweeps within a value."""
    if not isinstance(value, dict):
        return []
    return (
        [len(value["sweep"])]
        if "sweep" in value
        else [length for entry in value.values() for length in sweeps(entry)]
    )


@every_spec
def test_sizes_of_sweeps_multiply(path: Path) -> None:
    full = plan_of(path).spec
    values = full.source.values
    count = 0
    for line, parsed in zip(values["train"], full.train, strict=True):
        if trains_generators(full, parsed):
            continue
        trained = math.prod(
            size(full, f"{part}s", line[part]) for part in ("dataset", "model", "defence")
        )
        for measure in listed(line.get("measures", values["measures"])):
            of = listed(values["measures"][measure]["of"])
            entry = full.entries["measures"][measure]
            if cast(Measure, entry.variants[0].method).takes_sweep:
                attacked = 1
            elif is_worst_case(entry):
                # a field that several attacks sweep is one axis
                attacked = max(size(full, "attacks", label) for label in of)
            else:
                attacked = math.prod(size(full, "attacks", label) for label in of)
            count += trained * size(full, "measures", measure) * attacked * len(values["seeds"])
    assert len(plan_of(path).cells) == count


@every_spec
def test_smoke_run_shares_no_task_with_the_full_run(path: Path) -> None:
    full = plan_of(path)
    small = planner.plan(full.spec.smoke())
    session.check(small)
    assert not set(keys(full)) & set(keys(small))


def options(path: Path, scale: str | None, store: Path) -> tuple[str | Path, ...]:
    """The command-line options of a smoke run."""
    return (path, "--smoke", "--store", store, *(("--scale", scale) if scale else ()))


@pytest.mark.parametrize(
    ("path", "scale"),
    [
        pytest.param(path, scale, marks=pytest.mark.slow if scale else ())
        for path, scale in (*((path, None) for path in SPECS), *SCALES)
    ],
    ids=[*(path.stem for path in SPECS), *(f"{path.stem}-{scale}" for path, scale in SCALES)],
)
def test_smoke_tasks_run_and_are_reported(
    path: Path,
    scale: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a smoke run reads no data
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "nothing"))
    # nothing here has to survive a power failure
    monkeypatch.setattr(disk, "flush_all", lambda paths: None)
    planned = planner.plan(overlay.load(path, scale).smoke())
    store = Store(tmp_path / "store")
    store.prepare()
    runtime = StoreRuntime(store, torch.device("cpu"), 8, lambda *report: None)
    for task in planned.tasks:
        assert perform(task, runtime)[0] == "done", task
    chosen = options(path, scale, store.root)
    # figures and pages, which cost as much as the tasks, are for the slow tests
    assert call("report", *chosen, "--format", "html" if scale else "json") == 0
    capsys.readouterr()
    assert all(reading.row is not None for reading in readings.collect(planned, store))


@pytest.mark.slow
@every_spec
def test_spec_runs_with_smoke(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "nothing"))
    planned = planner.plan(overlay.load(path).smoke())
    chosen = options(path, None, tmp_path / "store")
    assert call("run", *chosen, "--workers", 1) == 0
    message = capsys.readouterr()
    computed = sum(int(count) for count in re.findall(r"(\d+) computed", message.err))
    assert computed == len(planned.tasks)
    assert call("report", *chosen, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) >= len(planned.cells)
    assert all(row["value"] for row in rows)
