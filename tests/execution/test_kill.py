"""`kill -9` at random moments: the next run continues, and no task is computed twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from workbench import COMMAND, TOYS, call, environment, registered, tiny, written

from invspec.execution.store import VERBS

SEED = 20240607
# tasks of a seed: a training, five attacks, five scores
TASKS = 11


def spec_of(seeds: int) -> dict[str, Any]:
    """At least a second of work per seed, in small tasks."""
    return tiny(
        seeds=list(range(seeds)),
        defences={"plodding": {"epochs": 4, "batch_size": 8, "lr": 0.1, "nap": 0.2}},
        attacks={
            "shift": {"by": {"sweep": [0.0, 0.25, 0.5]}},
            "nap": {"use": "sleeps", "seconds": 0.3},
            "pgd": {"use": "pgd", "eps": 0.1, "steps": 20},
        },
        measures={
            "accuracy": {"of": "shift"},
            "rested": {"use": "accuracy", "of": "nap"},
            "robust_accuracy": {"of": "pgd"},
        },
        train=[{"dataset": "fake", "model": "linear", "defence": "plodding"}],
    )


SAVE_EVERY_EPOCH = """
from invspec.execution.runtime import StoreJournal
StoreJournal.pause, StoreJournal.share = 0, 1
"""


class Runs:
    """Runs of one spec on one store, killed and started again."""

    def __init__(self, spec: Path, store: Path) -> None:
        self.store = store
        self.arguments = ["run", str(spec), "--store", str(store), "--registry", str(TOYS)]
        self.made: dict[Path, bytes] = {}

    def start(self, devices: str) -> subprocess.Popen[str]:
        code = SAVE_EVERY_EPOCH + COMMAND[-1]
        call = [sys.executable, "-c", code, *self.arguments, "--devices", devices]
        piped = subprocess.PIPE
        return subprocess.Popen(
            call, stdout=piped, stderr=piped, text=True, env=environment(), start_new_session=True
        )

    def finished(self) -> dict[Path, bytes]:
        """made.json of every finished task: with its seconds, it changes when it is recomputed."""
        return {
            path: path.read_bytes()
            for kind in VERBS
            for path in sorted((self.store / kind).glob("??/*/made.json"))
        }

    def check(self) -> None:
        """What was finished before is still there, unchanged."""
        now = self.finished()
        assert {path: now.get(path) for path in self.made} == self.made
        self.made = now

    def kill(self, run: subprocess.Popen[str], whole_group: bool) -> bool:
        """Kill a run. Returns whether it was still alive.

        If only the parent dies, its workers notice and end, perhaps after the next run has started.
        """
        alive = run.poll() is None
        if alive and whole_group:
            os.killpg(run.pid, signal.SIGKILL)
        elif alive:
            run.kill()
        run.communicate(timeout=60)
        self.check()
        return alive


def wait_for_change(root: Path, run: subprocess.Popen[str]) -> None:
    """Wait until a run has written a file or has ended."""
    before = paths_below(root)
    end = time.monotonic() + 120
    while time.monotonic() < end and run.poll() is None and paths_below(root) == before:
        time.sleep(0.02)


def paths_below(root: Path) -> set[str]:
    """All paths below a folder; those that vanish meanwhile are left out."""
    return {
        str(Path(folder, name))
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
    }


def rows(store: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in (store / "score").glob("??/*/rows.json")
    }


def assert_survives_kills(folder: Path, kills: int, dice: random.Random) -> None:
    """Kill and restart, then let a run end; compare with an undisturbed run."""
    seeds, hits = kills // 2, 0
    spec = written(folder, spec_of(seeds))
    runs, undisturbed = (Runs(spec, folder / name) for name in ("store", "undisturbed"))
    runs.store.mkdir()
    for number in range(kills):
        run = runs.start("cpu,cpu" if number % 3 == 2 else "cpu")
        wait_for_change(runs.store, run)
        time.sleep(dice.uniform(0, 1))
        hits += runs.kill(run, whole_group=number % 2 == 0)
    assert hits >= kills / 2
    with registered():
        assert call(*runs.arguments, "--devices", "cpu") == 0
        assert call(*undisturbed.arguments, "--devices", "cpu") == 0
    runs.check()
    assert len(rows(runs.store)) == 5 * seeds
    assert len(runs.made) == TASKS * seeds
    assert rows(runs.store) == rows(undisturbed.store)
    assert [path.parent.name for path in runs.made] == [
        path.parent.name for path in undisturbed.finished()
    ]
    assert not (runs.store / "damaged").exists()
    assert not (runs.store / "failures").exists()
    assert not list((runs.store / "checkpoints").glob("*"))


def test_a_run_killed_three_times_ends_like_an_undisturbed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_survives_kills(tmp_path, kills=3, dice=random.Random(SEED))
    capsys.readouterr()
    assert call("store", "verify", "--store", tmp_path / "store") == 0
    assert capsys.readouterr().out == "11 intact, 0 damaged\n"


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    assert_survives_kills(tmp_path, kills=20, dice=random.Random(SEED))
