"""Two runs on one store share the work: in this process, and as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runs import GOALS, SHIFT, outcome, run, tasks_of
from workbench import (
    COMMAND,
    TOYS,
    call,
    environment,
    perturb,
    registered,
    score,
    tiny,
    toys,
    train,
    written,
)

from invspec.execution import events, execute
from invspec.execution.leases import Leases
from invspec.execution.pools.local import LocalExecutor
from invspec.execution.schedule import Schedule
from invspec.execution.store import VERBS, Store
from invspec.tasks import key, needs

# ─ one run and the leases of another ─


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(execute, "PAUSE", 0.02)


def events_of(goals, root, lease=60.0):
    return execute.execute(goals, Store(root), LocalExecutor(), lease)


def test_a_task_that_another_run_computes_is_waited_for_and_counts_as_cached(tmp_path):
    run([train()], tmp_path / "other")
    with Leases(tmp_path) as other:
        other.claim(train())
        happened = []
        for event in events_of(GOALS, tmp_path):
            happened.append(event)
            if event == events.Done(train(seed=1), getattr(event, "seconds", 0)):
                # events of other tasks went on; now the other run finishes
                Store(tmp_path).save(train(), Store(tmp_path / "other").load(train()))
                other.release(train())
    waiting = [event for event in happened if isinstance(event, events.Waiting)]
    assert waiting == [events.Waiting(train(), f"process {os.getpid()} on {os.uname().nodename}")]
    assert events.Cached(train(), by_another_run=True) in happened
    last = outcome(happened)
    assert last.pop(train()) == "Cached"
    assert set(last.values()) == {"Done"}
    assert len(last) == 7
    done = tasks_of(events.Done, happened)
    assert all(
        done.index(need) < done.index(task) for task in done for need in needs(task) if need in done
    )


def test_a_finished_task_whose_claim_was_not_given_back_yet_is_waited_for(tmp_path):
    with Leases(tmp_path) as other:
        other.claim(train())
        iterator = events_of([train()], tmp_path)
        assert [next(iterator) for _ in range(2)][1].task == train()
        run([train()], tmp_path / "other")
        Store(tmp_path).save(train(), Store(tmp_path / "other").load(train()))
        other.release(train())
        assert list(iterator) == [events.Cached(train(), by_another_run=True)]


def test_a_task_that_failed_elsewhere_is_tried_once_here(tmp_path):
    bad = perturb(toys.Breaks())
    with Leases(tmp_path) as other:
        other.claim(bad)
        happened = []
        for event in events_of([score(bad)], tmp_path):
            happened.append(event)
            if isinstance(event, events.Waiting):
                other.release(bad)
    assert tasks_of(events.Started, happened) == [train(), bad]
    assert outcome(happened) == {train(): "Done", bad: "Failed", score(bad): "Skipped"}


def test_waiting_costs_a_task_no_attempt():
    schedule = Schedule([train()])
    assert list(schedule.release()) == []
    for is_new in (True, False, False):
        assert schedule.defer(schedule.pop()) == is_new
        assert schedule.waits
        schedule.resume()
        assert not schedule.waits
    for outcome_of_loss in (events.Retried, events.Failed):
        task = schedule.pop()
        assert isinstance(schedule.record(events.Lost(task, "it died")), outcome_of_loss)
    assert not schedule.active


def test_the_tasks_of_a_silent_run_are_taken_over(tmp_path):
    # never renewed, as if its process was frozen
    Leases(tmp_path).claim(SHIFT)
    start = time.monotonic()
    happened = list(events_of(GOALS, tmp_path, lease=1.0))
    assert time.monotonic() - start >= 1
    assert tasks_of(events.Waiting, happened) == [SHIFT]
    assert set(outcome(happened).values()) == {"Done"}


def test_a_damaged_artifact_that_another_run_replaces_is_not_moved(tmp_path):
    run(GOALS[:1], tmp_path)
    store = Store(tmp_path)
    intact = (store.folder(SHIFT) / "examples.safetensors").read_bytes()
    for task in (GOALS[0], SHIFT):
        next(store.folder(task).glob("*.safetensors")).write_bytes(b"torn")
    with Leases(tmp_path) as other:
        other.claim(SHIFT)
        happened = []
        for event in events_of(GOALS[:1], tmp_path):
            happened.append(event)
            if isinstance(event, events.Waiting):
                (store.folder(SHIFT) / "examples.safetensors").write_bytes(intact)
                other.release(SHIFT)
    assert tasks_of(events.Damaged, happened) == [GOALS[0]]
    assert events.Cached(SHIFT, by_another_run=True) in happened
    assert tasks_of(events.Done, happened) == [GOALS[0]]


def test_a_run_holds_the_leases_of_what_it_computes_and_no_others(tmp_path):
    # a worker saves one task while it computes the next
    unfinished = set()
    for event in events_of(GOALS, tmp_path):
        held = {lease.key for lease in Store(tmp_path).leases()}
        if isinstance(event, events.Started):
            unfinished.add(key(event.task))
            assert held == unfinished
        elif isinstance(event, events.Done | events.Failed):
            unfinished.remove(key(event.task))
            assert held == unfinished
    assert unfinished == set()


def test_closing_a_run_releases_its_leases(tmp_path):
    iterator = events_of([perturb(toys.Sleeps(seconds=0.05))], tmp_path)
    while not isinstance(event := next(iterator), events.Started) or event.task == train():
        pass
    assert len(Store(tmp_path).leases()) == 1
    iterator.close()
    assert Store(tmp_path).leases() == []


# ─ real processes ─

# tasks of a seed: a training, four attacks, four scores
PER_SEED = 9


def spec_of(seeds: int, **attacks: Any) -> dict[str, Any]:
    """Small tasks that take time without computing."""
    naps = {"nap": {"use": "sleeps", "seconds": {"sweep": [0.05, 0.06, 0.07]}}}
    return tiny(
        seeds=list(range(seeds)),
        attacks={"shift": {"by": 0.25}, **naps, **attacks},
        measures={name: {"use": "accuracy", "of": name} for name in ("shift", "nap", *attacks)},
    )


# Writes a line for each artifact that it stores, even if another process was first.
LOGGING = """
import os
from invspec.execution.store import Store
from invspec.tasks import key
save = Store.save
def logging(store, task, artifact, **facts):
    with (store.root / "saves.log").open("a") as log:
        log.write(f"{os.getpid()} {key(task)}\\n")
    save(store, task, artifact, **facts)
Store.save = logging
"""
# computes one task, and never stores it
HANGING = """
import time
log = Store.save
def hanging(store, task, artifact, **facts):
    if getattr(getattr(task, "attack", None), "by", 0) == 0.5:
        (store.root / "hangs").touch()
        time.sleep(600)
    log(store, task, artifact, **facts)
Store.save = hanging
"""
# as if it ran on another machine: nobody here can see that its process ended
ELSEWHERE = """
from invspec.execution import leases
leases.machine = lambda: "another machine"
"""


HELD = {"held": {"use": "shift", "by": 0.5}}


class Runs:
    """Runs of a spec on one store, each a process with a thread as its worker."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.spec, self.store = written(folder, content), folder / "store"

    def start(self, preamble: str = "", lease: float = 60) -> subprocess.Popen[str]:
        options = ["--store", str(self.store), "--registry", str(TOYS), "--lease", str(lease)]
        code = LOGGING + preamble + COMMAND[-1]
        return subprocess.Popen(
            [sys.executable, "-c", code, "run", str(self.spec), *options, "--devices", "cpu"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def saves(self) -> list[tuple[str, str]]:
        """Process and key of each artifact that a run computed."""
        lines = (self.store / "saves.log").read_text().splitlines()
        return [(line.split()[0], line.split()[1]) for line in lines]

    def claims(self, run: subprocess.Popen[str]) -> set[str]:
        """Keys of the tasks that a run has claimed."""
        return {lease.key for lease in Store(self.store).leases() if lease.pid == run.pid}

    def finished(self) -> set[str]:
        folders = (path for kind in VERBS for path in (self.store / kind).glob("??/*"))
        return {path.name for path in folders}


def until(condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def report_of(out: str) -> list[str]:
    return [line for line in out.splitlines() if "page:" not in line]


def rows(store: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.glob("score/??/*/rows.json")}


@pytest.mark.slow
def test_two_runs_started_together_compute_each_task_once(tmp_path) -> None:
    runs = Runs(tmp_path, spec_of(8))
    both = [runs.start() for _ in range(2)]
    outputs = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    saves = runs.saves()
    assert len(saves) == len({name for _, name in saves}) == 8 * PER_SEED
    assert {name for _, name in saves} == runs.finished()
    # they shared: neither computed nearly all of it
    by_run = [[process for process, _ in saves].count(str(run.pid)) for run in both]
    assert min(by_run) >= PER_SEED
    for (_, err), number in zip(outputs, by_run, strict=True):
        assert f"{number} computed, {8 * PER_SEED - number} found in the store" in err
    first, second = (report_of(out) for out, _ in outputs)
    assert first == second
    assert list((runs.store / "leases").iterdir()) == []
    with registered():
        assert call("run", runs.spec, "--store", tmp_path / "alone", "--devices", "cpu") == 0
    assert rows(runs.store) == rows(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("preamble", [ELSEWHERE, ""], ids=["elsewhere", "here"])
def test_the_other_run_finishes_if_one_is_killed_while_it_holds_a_claim(tmp_path, preamble) -> None:
    runs = Runs(tmp_path, spec_of(1, **HELD))
    killed = runs.start(preamble + HANGING, lease=3)
    until(lambda: (runs.store / "hangs").exists())
    (held,) = runs.claims(killed)
    other = runs.start(lease=3)
    # all but the attack and its score
    until(lambda: len(runs.finished()) == PER_SEED)
    assert other.poll() is None
    killed.send_signal(signal.SIGKILL)
    start = time.monotonic()
    killed.communicate()
    _, err = other.communicate(timeout=120)
    assert other.returncode == 0, err
    if preamble == ELSEWHERE:
        assert time.monotonic() - start >= 2
    assert len(runs.finished()) == PER_SEED + 2
    assert [process for process, name in runs.saves() if name == held] == [str(other.pid)]
    assert len(runs.saves()) == PER_SEED + 2
    assert list((runs.store / "leases").iterdir()) == []


@pytest.mark.slow
def test_a_frozen_run_wakes_up_and_ends_well(tmp_path) -> None:
    runs = Runs(tmp_path, spec_of(2))
    frozen = runs.start(lease=2)
    until(lambda: runs.claims(frozen))
    frozen.send_signal(signal.SIGSTOP)
    other = runs.start(lease=2)
    _, err = other.communicate(timeout=120)
    frozen.send_signal(signal.SIGCONT)
    _, frozen_err = frozen.communicate(timeout=120)
    assert (other.returncode, frozen.returncode) == (0, 0), err + frozen_err
    assert len(runs.finished()) == 2 * PER_SEED
    assert not (runs.store / "failures").exists()


@pytest.mark.slow
def test_a_task_that_fails_is_tried_by_each_run_once(tmp_path) -> None:
    runs = Runs(tmp_path, spec_of(1, breaks={}))
    both = [runs.start() for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    for err in errors:
        assert err.count("failed: breaks") == 1
        assert "1 failed, 1 skipped" in err
    names = [name for _, name in runs.saves()]
    assert len(names) == len(set(names)) == PER_SEED


@pytest.mark.slow
def test_an_interrupted_run_gives_its_claims_back(tmp_path) -> None:
    runs = Runs(tmp_path, spec_of(1))
    handler = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = runs.start(handler)
    until(lambda: runs.claims(process))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list((runs.store / "leases").iterdir()) == []
