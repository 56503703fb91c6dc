"""`kill -9` at random moments: every restart goes on, nothing is computed twice, and the numbers stay the same."""

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
EACH = 11  # tasks of a seed: a training, five attacks, five scores


def spec_of(seeds: int) -> dict[str, Any]:
    """Work for at least a second a seed, in small pieces."""
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


KEEPING_EVERY_EPOCH = "from invspec.execution.worker import StoreJournal; StoreJournal.pause = 0; "


class Runs:
    """Runs of one spec on one store, killed and begun again."""

    def __init__(self, spec: Path, store: Path) -> None:
        self.store = store
        self.arguments = ["run", str(spec), "--store", str(store), "--registry", str(TOYS)]
        self.made: dict[Path, bytes] = {}

    def begin(self, devices: str) -> subprocess.Popen[str]:
        code = KEEPING_EVERY_EPOCH + COMMAND[-1]
        call = [sys.executable, "-c", code, *self.arguments, "--devices", devices]
        piped = subprocess.PIPE
        return subprocess.Popen(
            call, stdout=piped, stderr=piped, text=True, env=environment(), start_new_session=True
        )

    def finished(self) -> dict[Path, bytes]:
        """made.json of every finished task: it holds the seconds, so that a second computation would change it."""
        return {
            path: path.read_bytes()
            for kind in VERBS
            for path in sorted((self.store / kind).glob("??/*/made.json"))
        }

    def look(self) -> None:
        """What was finished is still there, and is what it was."""
        now = self.finished()
        assert {path: now.get(path) for path in self.made} == self.made
        self.made = now

    def kill(self, run: subprocess.Popen[str], whole_group: bool) -> bool:
        """Whether there was something to kill.

        Where only the parent dies, its workers notice and end by themselves, maybe after the next run began.
        """
        alive = run.poll() is None
        if alive and whole_group:
            os.killpg(run.pid, signal.SIGKILL)
        elif alive:
            run.kill()
        run.communicate(timeout=60)
        self.look()
        return alive


def stirs(root: Path, run: subprocess.Popen[str]) -> None:
    """Wait until a run has written something of its own, or has ended."""
    before = set(root.rglob("*"))
    end = time.monotonic() + 120
    while time.monotonic() < end and run.poll() is None and set(root.rglob("*")) == before:
        time.sleep(0.02)


def rows(store: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in (store / "score").glob("??/*/rows.json")
    }


def assert_survives_kills(folder: Path, kills: int, dice: random.Random) -> None:
    """Kill and restart, then let a run end; compare with one that nobody disturbed."""
    seeds, hits = kills // 2, 0
    spec = written(folder, spec_of(seeds))
    runs, undisturbed = (Runs(spec, folder / name) for name in ("store", "undisturbed"))
    runs.store.mkdir()
    for number in range(kills):
        run = runs.begin("cpu,cpu" if number % 3 == 2 else "cpu")
        stirs(runs.store, run)
        time.sleep(dice.uniform(0, 1))
        hits += runs.kill(run, whole_group=number % 2 == 0)
    assert hits >= kills / 2
    with registered():
        assert call(*runs.arguments, "--devices", "cpu") == 0
        assert call(*undisturbed.arguments, "--devices", "cpu") == 0
    runs.look()
    assert len(rows(runs.store)) == 5 * seeds
    assert len(runs.made) == EACH * seeds
    assert rows(runs.store) == rows(undisturbed.store)
    assert [path.parent.name for path in runs.made] == [
        path.parent.name for path in undisturbed.finished()
    ]
    assert not (runs.store / "damaged").exists()
    assert not (runs.store / "failures").exists()
    assert not list((runs.store / "checkpoints").glob("*"))


def test_a_run_that_is_killed_four_times_ends_as_if_nothing_had_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_survives_kills(tmp_path, kills=4, dice=random.Random(SEED))
    capsys.readouterr()
    assert call("store", "verify", "--store", tmp_path / "store") == 0
    assert capsys.readouterr().out == "22 intact, 0 damaged\n"


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    assert_survives_kills(tmp_path, kills=20, dice=random.Random(SEED))
