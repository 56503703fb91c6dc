"""Whole runs on a device, in processes of their own: equal bits, and tasks per minute."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from findings import Finding, equal

from invspec.cli.run import run
from invspec.perform.cuda_graphs import VARIABLE

ROOT = Path(__file__).resolve().parents[1]
# every epoch is saved, so that a run can be killed after the first; the report is left out
MAIN = """
from invspec.cli import main, session
from invspec.execution.runtime import StoreJournal
StoreJournal.pause, session.show = 0, lambda *_, **__: None
main()
"""
# how long a run is waited for, and how long one is timed: its rate is known sooner
PATIENCE, TIMED = 120, 25


class Run:
    """`invspec run` of a spec in a store below folder, in a group of processes."""

    def __init__(
        self, folder: Path, name: str, spec: Path, *options: str, graphs: bool = True
    ) -> None:
        self.store = folder / name
        call = [sys.executable, "-c", MAIN, "run", str(spec), "--store", str(self.store), *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
        environment[VARIABLE] = "on" if graphs else "off"
        self.log = (folder / f"{name}.log").open("a+")
        self.process = subprocess.Popen(
            call, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until the run has ended. Raises RuntimeError with its last words if it failed."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        if code:
            self.log.seek(0)
            raise RuntimeError(f"invspec run ended with {code}: {self.log.read()[-2000:]}")

    def wait_for_checkpoint(self) -> None:
        """Wait until a training has saved an epoch, or the run has ended."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            if list(self.store.glob("checkpoints/*.pt")):
                return
            time.sleep(0.01)

    def kill(self) -> bool:
        """Kill the run with its workers. Returns whether it was alive."""
        alive = self.process.poll() is None
        if alive:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return alive

    def payloads(self) -> dict[str, bytes]:
        """The tensors of every finished task, by the folder's name."""
        paths = self.store.glob("*/??/*/*.safetensors")
        return {str(path.relative_to(self.store)): path.read_bytes() for path in paths}


def spec_of(
    folder: Path, name: str, seeds: int, epochs: int, steps: tuple[int, ...] = (20,)
) -> Path:
    """Trainings on digits, each with attacks of some steps and a score; the net has dropout."""
    content: dict[str, Any] = {
        "title": name,
        "seeds": list(range(seeds)),
        "datasets": {"digits": {}},
        "models": {"stdcnn": {}},
        "defences": {"standard": {"epochs": epochs, "lr": 0.05}},
        "attacks": {"pgd": {"eps": 0.1, "step_size": 0.01, "steps": {"sweep": list(steps)}}},
        "measures": {"robust_accuracy": {"of": "pgd"}},
        "train": [{"dataset": "digits", "model": "stdcnn", "defence": "standard"}],
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def equal_bits(device: str, folder: Path, quick: bool) -> Iterator[Finding]:
    """One training and its attack twice, at the same time, and once killed and resumed."""
    spec, options = spec_of(folder, "bits", 1, 4 if quick else 40), ("--devices", device)
    first, second, killed = (
        Run(folder, name, spec, *options) for name in ("first", "second", "killed")
    )
    killed.wait_for_checkpoint()
    was_alive = killed.kill()
    unfinished = was_alive and not list(killed.store.glob("train/??/*/"))
    yield Finding("bits", "killed in the middle of the training", holds=unfinished)
    resumed = Run(folder, "killed", spec, *options)
    for started in (first, second, resumed):
        started.wait()
    yield equal("bits", "two runs", first.payloads() == second.payloads())
    yield equal("bits", "killed and resumed", first.payloads() == resumed.payloads())


def throughput(device: str, folder: Path, quick: bool) -> Iterator[Finding]:
    """Tasks per minute with several workers on one device, with CUDA graphs and without.

    The start of the workers is included.
    """
    steps = (2, 3) if quick else (40, 60, 80, 100)
    spec = spec_of(folder, "tasks", 1 if quick else 8, 1 if quick else 10, steps)
    for workers in (2,) if quick else (1, 4, 8):
        for graphs in (True, False):
            yield _rate(device, folder, spec, workers, graphs)


def _rate(device: str, folder: Path, spec: Path, workers: int, graphs: bool) -> Finding:
    name = f"workers: {workers}{'' if graphs else ', without graphs'}"
    options = placement(device, workers)
    folder_name = f"workers-{workers}-{'graphs' if graphs else 'passes'}"
    started = Run(folder, folder_name, spec, *options, graphs=graphs)
    start = time.monotonic()
    try:
        started.wait(TIMED)
        note = "" if has_per_device() else "by naming the device several times"
    except subprocess.TimeoutExpired:
        note = f"stopped after {TIMED} s"
    minutes = (time.monotonic() - start) / 60
    done = len(list(started.store.glob("*/??/*/made.json")))
    return Finding("throughput", name, done / minutes, "tasks/min", note=note)


def placement(device: str, workers: int) -> tuple[str, ...]:
    """The options of a run that put workers on one device."""
    if device.startswith("cuda") and has_per_device():
        return ("--devices", device, "--per-device", str(workers))
    return ("--devices", ",".join([device] * workers))


def has_per_device() -> bool:
    """Whether this version of `invspec run` takes --per-device."""
    return "per_device" in inspect.signature(run).parameters
