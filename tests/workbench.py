"""Small tasks, plans and runs for tests of the machinery."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from torch import nn

from invspec import cli, sources
from invspec.data import Journal, TensorSplit
from invspec.datasets.fake import Fake
from invspec.datasets.torchvision_images import TorchvisionImages
from invspec.defences.standard import Standard
from invspec.kinds import Attack, Defence, Measure, Sample
from invspec.measures.accuracy import Accuracy
from invspec.memory import Limits
from invspec.models.linear import Linear
from invspec.models.small_conv import SmallConv
from invspec.ops.draws import Stream
from invspec.perform.dispatch import perform
from invspec.perform.runtime import Artifact
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.registry import cards, methods
from invspec.spec import document, resolve
from invspec.tasks import Perturb, Score, Task, Train

TOYS = Path(__file__).parent / "toys"
sys.path.append(str(TOYS))  # as --registry does; worker processes inherit it
toys: Any = importlib.import_module("toy_methods")

FAKE = Fake(shape=(1, 4, 4), classes=3, train=24, test=20)


class Memory:
    """A Runtime that computes artifacts on demand and keeps them in a dict."""

    def __init__(self, batch_size: int = 8) -> None:
        self.device, self.batch_size, self.limits = torch.device("cpu"), batch_size, Limits()
        self.kept: dict[Task, Artifact] = {}
        self.told: list[tuple[int, int]] = []
        self.warnings: list[str] = []

    def load(self, task: Task) -> Artifact:
        if task not in self.kept:
            self.kept[task] = perform(task, self)
        return self.kept[task]

    def journal(self, task: Train) -> Journal:
        return Journal()

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def progress(self, done: int, total: int) -> None:
        self.told.append((done, total))


def train(**changes: Any) -> Train:
    """A training of a linear model on fake data that takes milliseconds."""
    fields = {
        "dataset": FAKE,
        "model": Linear(),
        "defence": Standard(epochs=1, batch_size=8, lr=0.1),
        "seed": 0,
    }
    return Train(**{**fields, **changes})


def perturb(
    attack: Attack, trained: Train | None = None, part: tuple[int, int] = (0, 20), **changes: Any
) -> Perturb:
    return Perturb(trained or train(), attack, changes.pop("sample", Sample()), part, **changes)


def score(*attacked: Perturb, measure: Measure | None = None) -> Score:
    return Score(measure or Accuracy(), tuple((item,) for item in attacked))


@cache
def published(weights: str) -> nn.Module:
    """The net cnn_a with the published weights that a card names; needs INVSPEC_DATA."""
    net = SmallConv().build((1, 28, 28), 10)
    cast(Defence, methods.make("defence", weights, {})).train(
        net, digits(1), Stream(weights), Journal()
    )
    return net.eval().requires_grad_(False)


def digits(n: int) -> TensorSplit:
    """The first test images of MNIST; needs INVSPEC_DATA."""
    return TorchvisionImages(source="mnist", val=5000).load("test").head(n)


TINY = {
    "title": "a toy",
    "seeds": [0],
    "datasets": {"fake": {"shape": [1, 4, 4], "classes": 3, "train": 24, "test": 20}},
    "models": {"linear": {}},
    "defences": {"standard": {"epochs": 1, "batch_size": 8, "lr": 0.1}},
    "attacks": {"shift": {"by": 0.25}},
    "measures": {"accuracy": {"of": "shift"}},
    "checks": "none",
    "train": [{"dataset": "fake", "model": "linear", "defence": "standard"}],
}


def tiny(**changes: Any) -> dict[str, Any]:
    """The smallest spec with some parts replaced. It needs the toys' registry."""
    return {**TINY, **changes}


def written(folder: Path, content: dict[str, Any], name: str = "tiny") -> Path:
    """The spec as a file."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def planned(content: dict[str, Any]) -> Plan:
    return planner.plan(
        resolve.resolve(document.parse(yaml.safe_dump(content, sort_keys=False), "tiny.yaml"))
    )


@contextmanager
def registered() -> Generator[Path]:
    """The toys' cards are registered inside the block."""
    cards.add(TOYS)
    try:
        yield TOYS
    finally:
        cards._added.remove(TOYS.resolve())
        sources.remove(TOYS.resolve())
        sys.path.remove(str(TOYS.resolve()))
        cards.forget()
        methods.resolve.cache_clear()
        sys.path.append(str(TOYS))


COMMAND = [sys.executable, "-c", "from invspec.cli import main; main()"]
ROOT = Path(__file__).parents[1]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that imports this checkout and prints progress as lines."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "MPLBACKEND": "Agg",
        **changes,
    }


def command(
    *arguments: Any, preamble: str = "", **changes: str
) -> subprocess.CompletedProcess[str]:
    """`invspec ...` in a process of its own; preamble is Python that runs first."""
    call = [
        sys.executable,
        "-c",
        f"{preamble}\nfrom invspec.cli import main\nmain()",
        *map(str, arguments),
    ]
    return subprocess.run(
        call, capture_output=True, text=True, timeout=300, env=environment(**changes)
    )


def call(*arguments: Any) -> int:
    """`invspec ...` in this process, which has torch already; the exit code."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for ten seconds at most."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()
