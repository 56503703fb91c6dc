"""The worker's side of a job that calls home: it joins the run that submitted it and serves it."""

from __future__ import annotations

import json
import os
import platform
import select
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any

import torch

from invspec.errors import InvspecError, first_line
from invspec.execution import wire
from invspec.execution.messages import Message
from invspec.execution.pools import line
from invspec.execution.pools.line import Line
from invspec.execution.pools.local import CPU_BATCH, GPU_BATCH
from invspec.execution.pools.slots import PAUSE, Terms, admit, appears
from invspec.execution.worker import WorkerConfig, serve
from invspec.tasks import Task

# seconds to reach the run, and between two tries
CONNECT, AGAIN = 60.0, 2.0


def settings(
    root: Path,
    registries: tuple[Path, ...],
    batch_size: int | None,
    pulse: float,
    *,
    gpu: bool = False,
) -> dict[str, Any]:
    """What a pilot must know of the run, as JSON holds it. gpu: it must have one."""
    terms = Terms.of_this_process()
    return {
        "root": str(root),
        "registries": [str(folder) for folder in registries],
        "batch_size": batch_size,
        "pulse": pulse,
        "gpu": gpu,
        "versions": dict(terms.versions),
        "data": terms.data,
    }


class SocketChannel:
    """The pilot's line as the channel of a worker. Tasks come as wire.to_json writes them."""

    def __init__(self, home: Line) -> None:
        self.home = home
        self._reported = -PAUSE

    def receive(self) -> Task | None:
        """Wait for the next task, as in Channel."""
        try:
            message = self.home.receive()
        except (EOFError, OSError):
            return None
        match message:
            case ("task", str(text)):
                return wire.from_json(text)
            case _:
                raise InvspecError(f"unknown message {message[0]!r} from the run")

    def send(self, message: Message) -> None:
        """Send a message, as in Channel; progress at most once in PAUSE seconds."""
        now = time.monotonic()
        if message[0] == "progress":
            if now - self._reported < PAUSE:
                return
            self._reported = now
        self.home.send(message)


def run(file: Path, job: str) -> int:
    """Serve the run that wrote the file, until either ends. Returns an exit code.

    Call it in the main thread, whose signal handlers then work during a task.
    """
    if not appears(file):
        print(f"no file {file}: the run has ended")
        return 0
    facts = json.loads(file.read_text(encoding="utf-8"))
    home = _call(facts)
    outcome: list[int] = []
    serving = threading.Thread(
        target=lambda: outcome.append(_serve(home, facts, job)), name="pilot", daemon=True
    )
    serving.start()
    _wait(serving, home)
    # without an outcome, it works on for a run that has ended, or it broke
    return outcome[0] if outcome else int(not serving.is_alive())


def leave(code: int) -> None:
    """End this process at once: a task in the middle would hold up an orderly end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _call(facts: Mapping[str, Any]) -> Line:
    """A line to the run. Raises InvspecError if nobody answers, or not as expected."""
    host, port, key = str(facts["host"]), int(facts["port"]), bytes.fromhex(facts["key"])
    end = time.monotonic() + CONNECT
    while True:
        try:
            return line.connect((host, port), key)
        except AuthenticationError:
            raise InvspecError(f"another program answers at {host}:{port}") from None
        except (OSError, EOFError) as problem:
            # where nobody listens, the run has ended
            if isinstance(problem, ConnectionRefusedError) or time.monotonic() > end:
                hint = "does the run still exist? Its --host must be an address that nodes reach"
                raise InvspecError(f"no run at {host}:{port}: {problem}", hint=hint) from None
        time.sleep(AGAIN)


def _wait(serving: threading.Thread, home: Line) -> None:
    """Wait until the worker ends or the run hangs up, also in the middle of a task."""
    hang_up = select.poll()
    hang_up.register(home.fileno(), select.POLLRDHUP)
    while serving.is_alive() and not hang_up.poll(1000):
        pass


def _serve(home: Line, facts: Mapping[str, Any], job: str) -> int:
    """Join and perform tasks. Returns an exit code: 1 if the worker itself ended."""
    channel = SocketChannel(home)
    with suppress(OSError):
        try:
            config = _config(facts)
            mark = admit(config, Terms(facts["versions"], facts["data"]))
        except (InvspecError, OSError) as problem:
            print(problem, file=sys.stderr)
            home.send(("pilot", job, "", str(problem)))
            return 1
        home.send(("pilot", job, mark.name, ""))
        try:
            return 0 if serve(channel, config) else 1
        except Exception as problem:
            # else the run would wait until its patience ends
            channel.send(("faulty", f"{type(problem).__name__}: {first_line(problem)}"))
            raise
    return 0


def _config(facts: Mapping[str, Any]) -> WorkerConfig:
    """The settings of this worker. Raises InvspecError if it lacks a GPU that it must have."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if facts["gpu"] and device == "cpu":
        hint = "check --gres, and that torch is built for the node's CUDA"
        raise InvspecError(f"torch finds no GPU on {platform.node()}", hint=hint)
    batch_size = facts["batch_size"] or (GPU_BATCH if device == "cuda" else CPU_BATCH)
    registries = tuple(map(Path, facts["registries"]))
    return WorkerConfig(device, batch_size, Path(facts["root"]), registries, facts["pulse"])
